"""Applies files to a scratch database, one after the other, and says what the schema is after each."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import asyncpg

from medley.gate import catalogue
from medley.gate.compatibility import compare
from medley.gate.objects import Catalogue
from medley.gate.records import Compat
from medley.runtime.errors import Permanent
from medley.sql.lexer import Statement
from services.migrator.apply import accepted
from services.migrator.explain import explained
from services.migrator.migrations import Migration
from services.migrator.scratch.database import scratch_session
from services.migrator.scratch.roles import Roles, run
from services.migrator.sql.directives import Script, read_script


class Step(NamedTuple):
    """One file, and what it makes of what was there before."""

    migration: Migration
    catalogue: Catalogue
    compat: Compat


Rehearse = Callable[[Sequence[Migration]], Awaitable[list[Step]]]


def on_server(server_dsn: str) -> Rehearse:
    """Rehearsals on a server where we may make databases."""

    async def rehearse(files: Sequence[Migration]) -> list[Step]:
        async with scratch_session(server_dsn) as scratch:
            return await steps(scratch.connection, files, scratch.roles)

    return rehearse


async def steps(connection: asyncpg.Connection, files: Sequence[Migration], roles: Roles | None = None) -> list[Step]:
    """Every file on an empty database. Raises Permanent, with the place, for one that fails."""
    found: list[Step] = []
    before = await catalogue.read(connection)
    for migration in files:
        script = read_script(migration.filename, migration.text)
        if script.faults:
            raise Permanent("\n".join(str(fault) for fault in script.faults))
        await _apply(connection, script, roles)
        after = await catalogue.read(connection)
        found.append(Step(migration, after, Compat(tuple(compare(before, after)), accepted(script))))
        before = after
    return found


async def _apply(connection: asyncpg.Connection, script: Script, roles: Roles | None) -> None:
    statement: Statement | None = None
    try:
        async with contextlib.nullcontext() if script.no_transaction else connection.transaction():
            for statement in script.statements:
                await run(connection, statement, roles)
            statement = None
            await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            if roles is not None:
                await roles.note(connection)
    except asyncpg.PostgresError as error:
        raise Permanent(f"{explained(script, statement, error)} (on a scratch database)") from error
    await connection.execute("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DISCARD TEMP")
