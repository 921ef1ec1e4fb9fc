"""A throw-away database on a server where we may make databases, gone when the block ends.

Its name holds when it was made, by the server's clock: what a killed run left behind is swept by the next run, once it
is an hour old and nobody is connected to it.
"""

import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import structlog

from medley.runtime import postgres, statements
from medley.runtime.errors import ConfigurationError, Unavailable
from services.migrator.scratch.roles import Roles

log = structlog.get_logger()

SQL = statements.load(__file__)
_NAME = re.compile(r"medley_scratch_(\d{10})_[0-9a-f]+")
_LEFT_BEHIND_SECONDS = 3600
_WAIT_SECONDS = 10


class Scratch(NamedTuple):
    """A session on a scratch database, and what becomes of the roles that it makes."""

    dsn: str
    connection: asyncpg.Connection
    roles: Roles


@asynccontextmanager
async def scratch_session(server_dsn: str) -> AsyncIterator[Scratch]:
    """A session on a database of its own. Nothing of either is left afterwards. Raises as `scratch_database` does."""
    async with _session(server_dsn) as beside:
        roles = Roles(beside)
        try:
            async with scratch_database(server_dsn) as dsn, _session(dsn) as connection:
                yield Scratch(dsn, connection, roles)
        finally:
            await roles.drop()


@asynccontextmanager
async def scratch_database(server_dsn: str) -> AsyncIterator[str]:
    """The address of an empty database on the server of `server_dsn`, whose role must be allowed to make databases.

    Raises ConfigurationError when it is not, Unavailable when there is no server.
    """
    async with _session(server_dsn) as connection:
        now = await connection.fetchval(SQL["now"])
        await _sweep(connection, now)
        name = f"medley_scratch_{now}_{secrets.token_hex(6)}"
    try:
        async with _session(server_dsn) as connection:
            await _create(connection, name, server_dsn)
        yield urlunsplit(urlsplit(server_dsn)._replace(path=f"/{name}"))
    finally:
        # Another session than the one that made it: that one may have died, or been cancelled in the middle.
        async with _session(server_dsn) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@asynccontextmanager
async def _session(server_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await postgres.connect(server_dsn, _WAIT_SECONDS, "medley-scratch")
    except (ConfigurationError, Unavailable) as error:
        raise type(error)(f"{error} MIGRATE_SCRATCH_DSN names another server for scratch databases.") from error
    try:
        yield connection
    finally:
        await connection.close()


async def _create(connection: asyncpg.Connection, name: str, server_dsn: str) -> None:
    try:
        # template0: what a site put into template1 is no part of the schema.
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    except asyncpg.InsufficientPrivilegeError as error:
        role = await connection.fetchval("SELECT current_user")
        raise ConfigurationError(
            f"role {role} may not create databases at {postgres.shown(server_dsn)} ({error}), and a scratch database "
            f"is needed; ALTER ROLE {role} CREATEDB, or name another server or role for it"
        ) from error


async def _sweep(connection: asyncpg.Connection, now: int) -> None:
    for row in await connection.fetch(SQL["unused"]):
        match = _NAME.fullmatch(row["datname"])
        if match is None or now - int(match[1]) < _LEFT_BEHIND_SECONDS:
            continue
        # Not forced: somebody may have connected since, and another run may sweep at the same time.
        with contextlib.suppress(
            asyncpg.ObjectInUseError, asyncpg.InvalidCatalogNameError, asyncpg.InsufficientPrivilegeError
        ):
            await connection.execute(f"DROP DATABASE {row['datname']}")
            log.info("swept a scratch database of a run that was killed", database=row["datname"])
