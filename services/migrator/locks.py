"""Locks on existing tables: what a migration does to a table for as long as the table is large.

Seen by its effects, not by its text, and so through DO blocks too: each file is run on a scratch database, and after
each statement the catalogue is compared. A table that the file itself made has no rows and no users, so it does not
count. A lock alone is no finding, it is brief; a lock that is held through work in proportion to the table is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from medley.runtime import statements
from services.migrator.bodies import deep, name_of
from services.migrator.check import is_server_wide
from services.migrator.directives import Script
from services.migrator.findings import Finding
from services.migrator.lexer import Lines, Statement

SQL = statements.load(__file__)
_BLOCKED = {"AccessExclusiveLock": "nobody reads or writes it"}
_MODES = {
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ShareLock": "SHARE",
}
_VALIDATE = "write ADD CONSTRAINT … NOT VALID here, and VALIDATE CONSTRAINT in a later file"
# Work: rule, what is done, what to write instead.
_WORK = {
    "rewrite": (
        "rewrites-table",
        "writes the files of {table} anew",
        "add a new column, fill it in small steps, and go over to it in a later file",
    ),
    "index": (
        "blocking-index",
        "builds the index {item} on {table}",
        "write CREATE INDEX (or REINDEX) CONCURRENTLY, alone in a file that says -- migrate: no-transaction;"
        " a constraint takes such an index over (ADD CONSTRAINT … USING INDEX)",
    ),
    "check": ("blocking-constraint", "reads all of {table} for the constraint {item}", _VALIDATE),
    "foreign key": ("blocking-constraint", "reads all of {table} for the foreign key {item}", _VALIDATE),
    "not null": (
        "blocking-not-null",
        "reads all of {table} for nulls in {item}",
        "write ADD CONSTRAINT … CHECK ({item} IS NOT NULL) NOT VALID here, VALIDATE it in a later file,"
        " and SET NOT NULL after that",
    ),
}


@dataclass(frozen=True, slots=True)
class _Work:
    """One thing that only work in proportion to a table brings about."""

    work: str
    table_oid: int
    table_name: str
    item: str
    identity: int
    columns: tuple[int, ...]
    defaulted: bool

    @property
    def key(self) -> tuple[str, int, object]:
        """What tells two apart; a new name does not."""
        return self.work, self.table_oid, self.columns if self.work == "not null" else self.identity


State = dict[tuple[str, int, object], _Work]


async def find_locks(connection: asyncpg.Connection, scripts: Sequence[Script]) -> list[Finding]:
    """Apply the files in order to the empty database of `connection`; what each does to tables older than itself.

    A file that does not apply is a finding, and the last: `find_faults` tells all that is wrong with it.
    """
    findings: list[Finding] = []
    for script in scripts:
        watch = await _Watch.begin(connection, script)
        try:
            findings += await watch.run()
        except asyncpg.PostgresError as error:
            await connection.execute("ROLLBACK")
            why = f"it does not apply: {error.message}"
            return [
                *findings,
                Finding(script.filename, 1, 1, "does-not-apply", why, "medley migrate compile tells where"),
            ]
        await connection.execute("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL")
    return findings


@dataclass(slots=True)
class _Watch:
    """One file, and what was there before it."""

    connection: asyncpg.Connection
    script: Script
    tables: list[int]
    columns: set[tuple[int, int]]
    constraints: set[int]

    @classmethod
    async def begin(cls, connection: asyncpg.Connection, script: Script) -> "_Watch":
        tables = [row["oid"] for row in await connection.fetch(SQL["tables"])]
        columns = {(row["attrelid"], row["attnum"]) for row in await connection.fetch(SQL["columns"], tables)}
        constraints = {row["oid"] for row in await connection.fetch(SQL["constraints"], tables)}
        return cls(connection, script, tables, columns, constraints)

    async def run(self) -> list[Finding]:
        findings: list[Finding] = []
        if not self.script.no_transaction:
            await self.connection.execute("BEGIN")
        before = await self._state()
        for statement in self.script.statements:
            if is_server_wide(statement):
                continue
            await self.connection.execute(statement.text)
            after = await self._state()
            new = [work for key, work in after.items() if key not in before and self._counts(work, statement, before)]
            if new:
                findings += [self._finding(work, statement, await self._held()) for work in _told(new)]
            before = after
        if not self.script.no_transaction:
            await self.connection.execute("COMMIT")
        return sorted(findings)

    async def _state(self) -> State:
        if not self.tables:
            return {}
        rows = await self.connection.fetch(SQL["state"], self.tables)
        found = [_Work(**{**row, "columns": tuple(row["columns"])}) for row in map(dict, rows)]
        return {work.key: work for work in found}

    def _counts(self, work: _Work, statement: Statement, before: State) -> bool:
        """Whether it really was work in proportion to the table, and under a lock."""
        new_columns = all((work.table_oid, column) not in self.columns for column in work.columns)
        match work.work:
            case "index":
                return not (self.script.no_transaction and "CONCURRENTLY" in statement.words(16))
            case "check":  # one that was there before was validated now, which blocks nobody
                return work.identity not in self.constraints
            case "foreign key":  # ALTER TYPE makes it again and need not look
                again = any(b.work == work.work and b.item == work.item for b in before.values())
                return work.identity not in self.constraints and not again and (work.defaulted or not new_columns)
            case "not null":
                return work.identity not in self.constraints and not (new_columns and work.defaulted)
        return True

    async def _held(self) -> dict[int, str]:
        return {row["relation"]: row["mode"] for row in await self.connection.fetch(SQL["held"], self.tables)}

    def _finding(self, work: _Work, statement: Statement, held: dict[int, str]) -> Finding:
        line, column = self._place(work, statement)
        new_column = work.work == "not null" and (work.table_oid, work.columns[0]) not in self.columns
        if new_column:
            return Finding(
                *(self.script.filename, line, column, "required-column"),
                f"the new column {work.item} of {work.table_name} is NOT NULL without a default: it fails on rows",
                "give it a DEFAULT, or let it be null and fill it first",
            )
        rule, does, instead = _WORK[work.work]
        # Without a transaction the lock is gone by now; Postgres's manual has it.
        mode = held.get(work.table_oid, "AccessExclusiveLock" if work.work == "rewrite" else "ShareLock")
        blocked = _BLOCKED.get(mode, "nobody writes it")
        done = does.format(table=work.table_name, item=work.item)
        why = f"{done} under {_MODES[mode]}: {blocked} for as long as that takes"
        return Finding(self.script.filename, line, column, rule, why, instead.format(item=work.item))

    def _place(self, work: _Work, statement: Statement) -> tuple[int, int]:
        """The statement; in a DO block, where the table is named."""
        if statement.words(1) != ("DO",):
            return statement.line, statement.column
        name = work.table_name.rpartition(".")[2].strip('"')
        offset = next((token.offset for token in deep(statement.text) if name_of(token) == name), 0)
        return Lines(self.script.text).at(statement.offset + offset)


def _told(new: list[_Work]) -> list[_Work]:
    """A rewrite builds the indexes again and reads all rows anyway; a primary key includes its NOT NULL."""
    rewritten = {work.table_oid for work in new if work.work == "rewrite"}
    keyed = {work.table_oid for work in new if work.work == "index" and work.defaulted}

    def told(work: _Work) -> bool:
        if work.table_oid in rewritten:
            return work.work == "rewrite"
        return not (work.work == "not null" and work.table_oid in keyed)

    return [work for work in new if told(work)]
