"""Runs a change of the schema under sessions of an old build, and tells what became of each role.

- a **reader** knows NULLs and values as they were; it asks with a fresh statement, and with one prepared before;
- a **writer** runs its statements before and after the change, each in a transaction of its own that is rolled back: it
  is well when the same statement does the same to the same rows;
- a **replica** is a database with the old schema. It is fed the rows that a new build changes, by their old keys,
  ignores columns that it does not know, and is well when it has then what the source has;
- the **mirror**: a replica with the new schema, fed what the old writer wrote.
"""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from medley.gate.findings import BREAKS, LOSSY, OK, Class

# A role that owns nothing and has no rights but those of everybody; every server has it.
NOBODY = "pg_monitor"
TABLES = ("shop.owner", "shop.item")
NEVER_NULL = ("id", "label", "amount", "state")
KNOWN: dict[str, Callable[[Any], bool]] = {
    "state": lambda value: value in ("new", "done"),
    "mood": lambda value: value in ("calm", "loud", None),
    "short": lambda value: value is None or len(value) <= 8,
}

Rows = dict[str, dict[str, Any]]  # by primary key, as JSON
State = dict[str, Rows]  # by table


class Outcome(NamedTuple):
    """What became of a role. `what` is an SQLSTATE where Postgres refused."""

    verdict: Class
    what: str


FINE = Outcome(OK, "fine")


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
    async with _session(source) as owner, _session(source, NOBODY) as reader, _session(source, NOBODY) as fresh:
        first = await reader.fetch(upgrade.read)
        live = await reader.prepare(upgrade.read)
        await live.fetch()  # preparing alone keeps the table locked until the session says something else
        before = [await _effect(owner, statement, upgrade.written) for statement in upgrade.writes]
        old_rows = await _written_rows(owner, upgrade.writes)
        await execute(owner, upgrade.change)
        happened = Happened()
        happened.reader, happened.live = await _read(upgrade.read, first, live, reader, fresh, owner)
        after = [await _effect(owner, statement, upgrade.written) for statement in upgrade.writes]
        happened.writer, happened.refused = _compared(before, after)
        was = await _state(owner)
        for statement in upgrade.new:
            await owner.execute(statement)
        if happened.reader == FINE:
            happened.reader = await _surprise(upgrade.read, fresh)
        happened.replica = await _fed(replica, was, await _state(owner), upgrade.given)
        if upgrade.mirrored:
            happened.mirror = await _fed(replica, {}, old_rows, f"{upgrade.given};;{upgrade.change}")
    return happened


async def execute(connection: asyncpg.Connection, statements: str) -> None:
    """Each of them alone."""
    for statement in filter(None, statements.split(";;")):
        await connection.execute(statement)


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


async def _read(
    text: str,
    first: Sequence[asyncpg.Record],
    live: Any,
    reader: asyncpg.Connection,
    fresh: asyncpg.Connection,
    owner: asyncpg.Connection,
) -> tuple[Outcome, str]:
    found = await _outcome(fresh.fetch(text))
    prepared = await _outcome(live.fetch())
    again = await _outcome(reader.fetch(text))  # from asyncpg's cache: in autocommit it prepares again by itself
    assert again == found, "a session that was there before sees something else than a new one"
    said = prepared if isinstance(prepared, str) else "fine"
    if isinstance(found, str):
        return Outcome(BREAKS, found), said
    owners_view = await owner.fetch(text)
    return _seen(first, found, owners_view), said


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
    if any(now is not None and now != was and not _close(was, now) for was, now in pairs):
        return Outcome(BREAKS, "other values")
    lost = len(found) < len(first) or any(now is None and was is not None for was, now in pairs)
    return Outcome(LOSSY, "gone" if lost else "rounded")


def _close(was: Any, now: Any) -> bool:
    """Is it the same number but for its last digits?"""
    numbers = all(isinstance(value, int | float | Decimal) for value in (was, now))
    return numbers and math.isclose(was, now, rel_tol=0.01)


async def _surprise(text: str, fresh: asyncpg.Connection) -> Outcome:
    """Does the old reader get, from a new writer, what it never got before?"""
    for row in await fresh.fetch(text):
        for column in NEVER_NULL:
            if column in row and row[column] is None:
                return Outcome(BREAKS, f"NULL in {column}")
        for column, is_known in KNOWN.items():
            if column in row and not is_known(row[column]):
                return Outcome(BREAKS, f"{row[column]} in {column}")
    return FINE


# --- the writer

Effect = str | tuple[Any, ...]


async def _effect(owner: asyncpg.Connection, statement: str, written: frozenset[str]) -> Effect:
    """What one statement does to the columns that it knows, or the SQLSTATE with which it is refused."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        before = await _state(owner)
        await owner.execute(f"SET LOCAL ROLE {NOBODY}")
        refused = await _outcome(owner.execute(statement))
        if not refused.startswith(("INSERT", "UPDATE", "DELETE")):
            return str(refused)
        await owner.execute("SET CONSTRAINTS ALL IMMEDIATE; RESET ROLE")
        return tuple(_difference(before, await _state(owner), written))
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
    before = await _state(owner)
    for statement in writes:
        async with owner.transaction():
            if not statement.startswith("DELETE"):
                await owner.execute(statement)
    after = await _state(owner)
    await transaction.rollback()
    return {
        table: {key: row for key, row in rows.items() if before[table].get(key) != row} for table, rows in after.items()
    }


# --- replicas


async def _state(connection: asyncpg.Connection) -> State:
    """Every row of the tables that are there under their old names."""
    state: State = {}
    for table in TABLES:
        if await connection.fetchval("SELECT to_regclass($1)", table) is not None:
            keys = await _keys(connection, table)
            state[table] = {}
            for (text,) in await connection.fetch(f"SELECT to_jsonb(t) FROM {table} AS t"):
                row = json.loads(text)
                key = json.dumps([row[key] for key in keys])
                state[table][key if key not in state[table] else f"{key} again"] = row
    return state


async def _keys(connection: asyncpg.Connection, table: str) -> list[str]:
    """The columns of its primary key; those of old where there is none."""
    rows = await connection.fetch(
        "SELECT a.attname FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid "
        "AND a.attnum = ANY (i.indkey) WHERE i.indrelid = $1::text::regclass AND i.indisprimary ORDER BY 1",
        table,
    )
    return [row["attname"] for row in rows] or ["id"]


async def _fed(replica: asyncpg.Connection, was: State, now: State, change: str) -> Outcome:
    """A replica that had `was` hears what became of it. All of it is rolled back."""
    transaction = replica.transaction()
    await transaction.start()
    try:
        await execute(replica, change.replace(" CONCURRENTLY", ""))
        return await _feed(replica, was, now)
    except asyncpg.PostgresError as error:
        return Outcome(BREAKS, str(error.sqlstate))
    finally:
        await transaction.rollback()


async def _feed(replica: asyncpg.Connection, was: State, now: State) -> Outcome:
    fed = {}
    for table in TABLES:  # the parent first, as the WAL has it: its delete comes before those that it brings about
        if table not in now:
            return Outcome(BREAKS, "42P01")
        keys = await _keys(replica, table)
        left = [[row.get(key) for key in keys] for row in now[table].values()]
        for row in was.get(table, {}).values():
            if [row.get(key) for key in keys] not in left:
                condition = " AND ".join(f"{key}::text = '{row[key]}'" for key in keys)
                await replica.execute(f"DELETE FROM {table} WHERE {condition}")
        fed[table] = [row for key, row in now[table].items() if was.get(table, {}).get(key) != row]
        for row in fed[table]:
            await _upsert(replica, table, keys, row)
    return _same(await _state(replica), now, fed, was) if was else _kept(await _state(replica), fed)


async def _upsert(replica: asyncpg.Connection, table: str, keys: list[str], row: Mapping[str, Any]) -> None:
    known = [
        each["attname"]
        for each in await replica.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = ''",
            table,
        )
        if each["attname"] in row
    ]
    columns = ", ".join(known)
    sets = ", ".join(f"{name} = excluded.{name}" for name in known if name not in keys)
    await replica.execute(
        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}",
        json.dumps(row),
    )


def _same(copy: State, source: State, fed: Mapping[str, Sequence[Mapping[str, Any]]], was: State) -> Outcome:
    """Is the copy what the source is, in the columns that it has?"""
    for table in TABLES:
        if len(copy[table]) != len(source[table]):
            return Outcome(BREAKS, "other rows")
        rows = {row["id"]: row for row in source[table].values() if "id" in row}
        for row in copy[table].values():
            there = rows.get(row["id"], {})
            shared = {column for column in there if column in row}
            pairs = [(row[column], there[column]) for column in shared if str(row[column]) != str(there[column])]
            if pairs and there not in fed[table]:
                rounded = all(_close(*pair) for pair in pairs)
                return Outcome(LOSSY, "rounded") if rounded else Outcome(BREAKS, "stale")
            if any(there[column] != row[column] for column in shared):
                return Outcome(LOSSY, "other values")
            lost = [value for column, value in there.items() if column not in row and value in _starved(row, there)]
            if lost:
                return Outcome(LOSSY, "not fed")
    return FINE


def _starved(copy: Mapping[str, Any], source: Mapping[str, Any]) -> list[Any]:
    """What the copy has from before in columns of which it is told nothing any more."""
    return [value for column, value in copy.items() if column not in source and value is not None]


def _kept(copy: State, fed: Mapping[str, Sequence[Mapping[str, Any]]]) -> Outcome:
    """Is what was fed there?"""
    for table in TABLES:
        rows = {row.get("id"): row for row in copy[table].values()}
        for row in fed[table]:
            there = rows.get(row["id"], {})
            if any(column in there and there[column] != value for column, value in row.items()):
                return Outcome(LOSSY, "other values")
            if any(column not in there and value is not None for column, value in row.items()):
                return Outcome(LOSSY, "not kept")
    return FINE
