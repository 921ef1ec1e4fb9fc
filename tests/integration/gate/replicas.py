"""Replicas: what they hold, how they are fed, and whether they have then what the source has."""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import asyncpg

from medley.gate.findings import BREAKS, LOSSY, OK, Class

TABLES = ("shop.owner", "shop.item")
Row = Mapping[str, Any]  # as JSON
State = dict[str, dict[str, dict[str, Any]]]  # by table and primary key
Fed = Mapping[str, Sequence[Row]]


class Outcome(NamedTuple):
    """What became of a role. `what` is an SQLSTATE where Postgres refused."""

    verdict: Class
    what: str


FINE = Outcome(OK, "fine")


async def execute(connection: asyncpg.Connection, statements: str) -> None:
    """Each of them alone."""
    for statement in filter(None, statements.split(";;")):
        await connection.execute(statement)


def close(was: Any, now: Any) -> bool:
    """Is it the same number but for its last digits?"""
    numbers = all(isinstance(value, int | float | Decimal) for value in (was, now))
    return numbers and math.isclose(was, now, rel_tol=0.01)


async def state_of(connection: asyncpg.Connection) -> State:
    """Every row of the tables that are there under their old names."""
    keys = await _keys(connection)
    state: State = {table: {} for table in keys}
    selects = [f"SELECT '{table}', to_jsonb(t)::text FROM {table} AS t" for table in keys]
    for table, text in await connection.fetch(" UNION ALL ".join(selects)) if selects else ():
        row = json.loads(text)
        key = json.dumps([row[key] for key in keys[table]])
        state[table][key if key not in state[table] else f"{key} again"] = row
    return state


async def _keys(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """The columns of the primary key of each table that is there; those of old where there is none."""
    rows = await connection.fetch(
        "SELECT name, (SELECT array_agg(a.attname::text ORDER BY 1) FROM pg_index AS i JOIN pg_attribute AS a "
        "ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = to_regclass(name) "
        "AND i.indisprimary) AS keys FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL",
        TABLES,
    )
    there = {row["name"]: row["keys"] or ["id"] for row in rows}
    return {table: there[table] for table in TABLES if table in there}


async def fed(replica: asyncpg.Connection, was: State, now: State, change: str) -> Outcome:
    """A replica, after a change of its own, hears what became of `was`. All of it is rolled back."""
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
    fed: dict[str, list[Row]] = {}
    all_keys = await _keys(replica)
    for table in TABLES:  # the parent first, as the WAL has it: its delete comes before those that it brings about
        if table not in now or table not in all_keys:
            return Outcome(BREAKS, "42P01")  # as Postgres says: no such table
        keys = all_keys[table]
        left = [[row.get(key) for key in keys] for row in now[table].values()]
        for gone in was.get(table, {}).values():
            if [gone.get(key) for key in keys] not in left:
                condition = " AND ".join(f"{key}::text = '{gone[key]}'" for key in keys)
                await replica.execute(f"DELETE FROM {table} WHERE {condition}")
        fed[table] = [row for key, row in now[table].items() if was.get(table, {}).get(key) != row]
        columns = await _written(replica, table) if fed[table] else []
        for row in fed[table]:
            await _upsert(replica, table, keys, [name for name in columns if name in row], row)
    return _same(await state_of(replica), now, fed) if was else _kept(await state_of(replica), fed)


async def _written(replica: asyncpg.Connection, table: str) -> list[str]:
    """The columns that take a value."""
    rows = await replica.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = ''",
        table,
    )
    return [row["attname"] for row in rows]


async def _upsert(replica: asyncpg.Connection, table: str, keys: list[str], known: list[str], row: Row) -> None:
    columns = ", ".join(known)
    sets = ", ".join(f"{name} = excluded.{name}" for name in known if name not in keys)
    await replica.execute(
        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}",
        json.dumps(row),
    )


def _same(copy: State, source: State, fed: Fed) -> Outcome:
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
                rounded = all(close(*pair) for pair in pairs)
                return Outcome(LOSSY, "rounded") if rounded else Outcome(BREAKS, "stale")
            if any(there[column] != row[column] for column in shared):
                return Outcome(LOSSY, "other values")
            lost = [value for column, value in there.items() if column not in row and value in _starved(row, there)]
            if lost:
                return Outcome(LOSSY, "not fed")
    return FINE


def _starved(copy: Row, source: Row) -> list[Any]:
    """What the copy has from before in columns of which it is told nothing any more."""
    return [value for column, value in copy.items() if column not in source and value is not None]


def _kept(copy: State, fed: Fed) -> Outcome:
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
