"""Runs a change of the schema under sessions of an old build, and tells what became of each role.

- a **reader** knows NULLs and values as they were; it asks with a fresh statement, and with one prepared before;
- a **writer** runs its statements before and after the change, each in a transaction of its own that is rolled back: it
  is well when the same statement does the same to the same rows;
- a **replica** is a database with the old schema. It is fed the rows that a new build changes, by their old keys,
  ignores columns that it does not know, and is well when it has then what the source has;
- the **mirror**: a replica with the new schema, fed what the old writer wrote.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from medley.gate.findings import BREAKS, LOSSY
from tests.integration.gate.replicas import FINE, TABLES, Outcome, State, close, execute, fed, state_of

# A role that owns nothing and has no rights but those of everybody; every server has it.
NOBODY = "pg_monitor"
NEVER_NULL = ("id", "label", "amount", "state")
KNOWN: dict[str, Callable[[Any], bool]] = {
    "state": lambda value: value in ("new", "done"),
    "mood": lambda value: value in ("calm", "loud", None),
    "short": lambda value: value is None or len(value) <= 8,
}


@dataclass(frozen=True)
class Upgrade:
    """A change, what the old build does, and what the new one writes."""

    given: str
    change: str
    read: str
    writes: Sequence[str]
    written: frozenset[str]
    new: Sequence[str]
    mirrored: bool


@dataclass
class Happened:
    """How it went, by role; `live`: with the reader's prepared statement."""

    reader: Outcome = FINE
    live: str = "fine"
    writer: Outcome = FINE
    replica: Outcome = FINE
    mirror: Outcome = FINE
    refused: list[str] = field(default_factory=list)


async def run(upgrade: Upgrade, source: str, replica: asyncpg.Connection) -> Happened:
    """`source`: a database of its own with the shop in it; `replica` is left as it was."""
    async with _session(source) as owner, _session(source, NOBODY) as live, _session(source, NOBODY) as fresh:
        happened, reader = Happened(), Reader(upgrade.read, live, fresh, owner)
        await reader.begin()
        before = [await _effect(owner, statement, upgrade.written) for statement in upgrade.writes]
        old_rows = await _written_rows(owner, upgrade.writes)
        await execute(owner, upgrade.change)
        happened.reader, happened.live = await reader.again()
        after = [await _effect(owner, statement, upgrade.written) for statement in upgrade.writes]
        happened.writer, happened.refused = _compared(before, after)
        was = await state_of(owner)
        for statement in upgrade.new:
            await owner.execute(statement)
        if happened.reader == FINE:
            happened.reader = await reader.surprise()
        happened.replica = await fed(replica, was, await state_of(owner), upgrade.given)
        if upgrade.mirrored:
            happened.mirror = await fed(replica, {}, old_rows, f"{upgrade.given};;{upgrade.change}")
    return happened


@asynccontextmanager
async def _session(dsn: str, role: str | None = None) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        if role is not None:
            await connection.execute(f"SET ROLE {role}")
        yield connection
    finally:
        await connection.close()


async def _outcome(work: Awaitable[Any]) -> Any:
    """What it gives, or the SQLSTATE with which it was refused."""
    try:
        return await work
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)


# --- the reader


@dataclass
class Reader:
    """An old query: through a statement prepared before the change, and through one made after it."""

    text: str
    live: asyncpg.Connection
    fresh: asyncpg.Connection
    owner: asyncpg.Connection
    first: Sequence[asyncpg.Record] = ()
    prepared: Any = None

    async def begin(self) -> None:
        self.first = await self.live.fetch(self.text)
        self.prepared = await self.live.prepare(self.text)
        await self.prepared.fetch()  # preparing alone keeps the table locked until the session says something else

    async def again(self) -> tuple[Outcome, str]:
        """What became of the rows, and of the prepared statement."""
        found, prepared = await _outcome(self.fresh.fetch(self.text)), await _outcome(self.prepared.fetch())
        said = prepared if isinstance(prepared, str) else FINE.what
        if said != FINE.what:  # in autocommit asyncpg prepares a statement of its cache again by itself
            assert await _outcome(self.live.fetch(self.text)) == found, "asyncpg does not recover"
        if isinstance(found, str):
            return Outcome(BREAKS, found), said
        return _seen(self.first, found, await self.owner.fetch(self.text)), said

    async def surprise(self) -> Outcome:
        """Does it get, from a new writer, what it never got before?"""
        for row in await self.fresh.fetch(self.text):
            for column, value in row.items():
                if value is None and column in NEVER_NULL:
                    return Outcome(BREAKS, f"NULL in {column}")
                if column in KNOWN and not KNOWN[column](value):
                    return Outcome(BREAKS, f"{value} in {column}")
        return FINE


def _seen(
    first: Sequence[asyncpg.Record], found: Sequence[asyncpg.Record], owners: Sequence[asyncpg.Record]
) -> Outcome:
    """The same rows as before the change, or what is wrong with them."""
    if found == list(first):
        return FINE
    if found != owners:
        return Outcome(BREAKS, "hidden")
    there = {row["id"]: row for row in found}
    pairs = [(was, there[row["id"]][column]) for row in first if row["id"] in there for column, was in row.items()]
    if any(now is not None and type(now) is not type(was) and was is not None for was, now in pairs):
        return Outcome(BREAKS, "another type")
    if any(now is not None and now != was and not close(was, now) for was, now in pairs):
        return Outcome(BREAKS, "other values")
    lost = len(found) < len(first) or any(now is None and was is not None for was, now in pairs)
    return Outcome(LOSSY, "gone" if lost else "rounded")


# --- the writer

Effect = str | tuple[Any, ...]


async def _effect(owner: asyncpg.Connection, statement: str, written: frozenset[str]) -> Effect:
    """What one statement does to the columns that it knows, or the SQLSTATE with which it is refused."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        before = await state_of(owner)
        await owner.execute(f"SET LOCAL ROLE {NOBODY}")
        refused = await _outcome(owner.execute(statement))
        if not refused.startswith(("INSERT", "UPDATE", "DELETE")):
            return str(refused)
        await owner.execute("SET CONSTRAINTS ALL IMMEDIATE; RESET ROLE")
        return tuple(_difference(before, await state_of(owner), written))
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    finally:
        await transaction.rollback()


def _difference(before: State, after: State, written: frozenset[str]) -> Iterable[tuple[Any, ...]]:
    for table in TABLES:
        was, now = before.get(table, {}), after.get(table, {})
        for key in sorted(was.keys() | now.keys()):
            if key not in now:
                yield table, key, "deleted"
                continue
            for column in sorted(written & now[key].keys()):
                if key not in was or was[key].get(column) != now[key][column]:
                    yield table, key, column, str(now[key][column])


def _compared(before: Sequence[Effect], after: Sequence[Effect]) -> tuple[Outcome, list[str]]:
    """The first thing that is not as it was, an error rather than silence."""
    changed = [now for was, now in zip(before, after, strict=True) if was != now]
    refused = [now for now in changed if isinstance(now, str)]
    if refused:
        return Outcome(BREAKS, refused[0]), refused
    return (Outcome(BREAKS, "silent") if changed else FINE), []


async def _written_rows(owner: asyncpg.Connection, writes: Sequence[str]) -> State:
    """The rows that the old writer makes or changes, all of its statements together."""
    transaction = owner.transaction()
    await transaction.start()
    before = await state_of(owner)
    for statement in writes:
        async with owner.transaction():
            if not statement.startswith("DELETE"):
                await owner.execute(statement)
    after = await state_of(owner)
    await transaction.rollback()
    return {
        table: {key: row for key, row in rows.items() if before[table].get(key) != row} for table, rows in after.items()
    }
