"""Locks on existing tables: what a migration does to a table for as long as the table is large.

Seen by its effects, not by its text, and so through DO blocks too: each file is run on a scratch database, and after
each statement the catalogue is compared. A table that the file itself made has no rows and no users, so it does not
count. A lock alone is no finding, it is brief; a lock that is held through work in proportion to the table is one.
"""

from collections.abc import Iterable, Sequence

import asyncpg

from medley.runtime import statements
from medley.sql.lexer import Lines, Statement
from services.migrator.lint.findings import Finding
from services.migrator.lint.work import Entry, State, advice, by_table, work_between
from services.migrator.scratch.roles import Roles, run
from services.migrator.sql.bodies import deep, name_of
from services.migrator.sql.directives import Script

SQL = statements.load(__file__)


async def find_locks(
    connection: asyncpg.Connection, scripts: Sequence[Script], roles: Roles | None = None
) -> list[Finding]:
    """Apply the files in order to the empty database of `connection`; what each does to tables older than itself.

    A file that does not apply is a finding, and the last: `find_faults` tells all that is wrong with it.
    """
    watch = _Watch(connection, roles)
    findings: list[Finding] = []
    for script in scripts:
        if script.faults:
            return [*findings, _does_not_apply(script, script.faults[0].what)]
        try:
            findings += await watch.run(script)
        except asyncpg.PostgresError as error:
            await connection.execute("ROLLBACK")
            return [*findings, _does_not_apply(script, error.message or str(error))]
        await connection.execute("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DISCARD TEMP")
    return findings


class _Watch:
    """The catalogue of the tables, table by table. Only those that a transaction has locked can have changed in it."""

    def __init__(self, connection: asyncpg.Connection, roles: Roles | None) -> None:
        self._connection = connection
        self._roles = roles
        self._states: dict[int, State] = {}

    async def run(self, script: Script) -> list[Finding]:
        """Apply one file."""
        await self._look(row["oid"] for row in await self._connection.fetch(SQL["tables"]))
        first = dict(self._states)
        findings: list[Finding] = []
        if not script.no_transaction:
            await self._connection.execute("BEGIN")
        for statement in script.statements:
            findings += await self._statement(script, statement, first)
        if not script.no_transaction:
            await self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            if self._roles is not None:
                await self._roles.note(self._connection)
            await self._connection.execute("COMMIT")
        return sorted(findings)

    async def _statement(self, script: Script, statement: Statement, first: dict[int, State]) -> list[Finding]:
        await run(self._connection, statement, self._roles)
        held = {row["relation"]: row["mode"] for row in await self._connection.fetch(SQL["held"])}
        touched = first.keys() if script.no_transaction else first.keys() & held.keys()
        before = {oid: self._states.pop(oid) for oid in touched}
        await self._look(touched)
        concurrently = script.no_transaction and "CONCURRENTLY" in statement.words(16)
        findings = []
        for oid, after in ((oid, self._states.get(oid, {})) for oid in touched):
            for entry in work_between(first[oid], before[oid], after, concurrently):
                line, column = _place(script, entry, statement)
                findings.append(Finding(script.filename, line, column, *advice(entry, first[oid], held.get(oid))))
        return findings

    async def _look(self, tables: Iterable[int]) -> None:
        """Read those of the tables that are not known."""
        unknown = [oid for oid in tables if oid not in self._states]
        if unknown:
            rows = await self._connection.fetch(SQL["state"], unknown)
            entries = (Entry(**{**row, "columns": tuple(row["columns"])}) for row in map(dict, rows))
            self._states |= {oid: State() for oid in unknown} | by_table(entries)


def _does_not_apply(script: Script, reason: str) -> Finding:
    why = f"it does not apply: {reason}"
    return Finding(script.filename, 1, 1, "does-not-apply", why, "medley migrate compile tells where, and what else")


def _place(script: Script, entry: Entry, statement: Statement) -> tuple[int, int]:
    """The statement; in a DO block, where the table is named."""
    if statement.words(1) != ("DO",):
        return statement.line, statement.column
    name = entry.table_name.rpartition(".")[2].strip('"')
    offset = next((token.offset for token in deep(statement.text) if name_of(token) == name), 0)
    return Lines(script.text).at(statement.offset + offset)
