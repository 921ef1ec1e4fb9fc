"""`@electric-sql/client`, as published on npm and unmodified, holds what SELECT says, by every transport."""

from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.programs import running, selected
from tests.support.library import Library

pytestmark = pytest.mark.node
TRANSPORTS = pytest.mark.parametrize("sse", [pytest.param(False, id="poll"), pytest.param(True, id="sse")])


def shape(library: Library, table: str, sse: bool = False, **params: Any) -> dict[str, Any]:
    """Options of a ShapeStream."""
    return {"url": f"{library.api}/v1/shape", "params": {"table": table, **params}, "liveSse": sse}


@TRANSPORTS
async def test_it_sees_the_snapshot_and_every_change(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, ok bool, tags text[], doc jsonb, owner text)")
    await connection.execute(f"""INSERT INTO {name} VALUES (1, true, '{{a,"b c",NULL}}', '{{"n": 1}}', 'ann')""")
    async with running(node, "follow.mjs", shapes={"shape": shape(library, name, sse)}) as js:
        await js.shows(await selected(connection, name))
        for statement in (
            f"INSERT INTO {name} (id, ok) VALUES (2, false)",
            f"UPDATE {name} SET ok = NULL, owner = 'bob' WHERE id = 1",
            f"UPDATE {name} SET id = 3 WHERE id = 1",
            f"DELETE FROM {name} WHERE id = 2",
            f"INSERT INTO {name} (id, owner) SELECT n, repeat('x', n) FROM generate_series(10, 500) n",
            f"DELETE FROM {name} WHERE id % 2 = 0",
        ):
            await connection.execute(statement)
            last = await js.shows(await selected(connection, name))
    if sse:
        assert {r["type"] for r in last["requests"] if "live_sse" in r} == {"text/event-stream"}


@TRANSPORTS
async def test_a_transaction_is_seen_whole(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, money int)")
    await connection.execute(f"INSERT INTO {name} SELECT n, 100 FROM generate_series(1, 10) n")
    async with running(node, "follow.mjs", shapes={"shape": shape(library, name, sse)}) as js:
        await js.shows(await selected(connection, name))
        for step in range(1, 40):
            async with connection.transaction():
                await connection.execute(f"UPDATE {name} SET money = money - $1 WHERE id = $2", step, step % 10 + 1)
                await connection.execute(f"UPDATE {name} SET money = money + $1 WHERE id = $2", step, step % 7 + 1)
        await js.shows(await selected(connection, name))
        assert {sum(row["money"] for row in line["rows"]) for line in js.said} == {1000}


@TRANSPORTS
async def test_a_rotation_leads_it_to_the_new_shape(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    await connection.execute(f"INSERT INTO {name} SELECT generate_series(1, 3)")
    async with running(node, "follow.mjs", shapes={"shape": shape(library, name, sse)}) as js:
        before = await js.shows(await selected(connection, name))
        await connection.execute(f"TRUNCATE {name}; INSERT INTO {name} VALUES (4)")
        after = await js.shows([{"id": 4}])
        assert after["handle"] != before["handle"]
        await connection.execute(f"INSERT INTO {name} VALUES (5)")
        await js.shows([{"id": 4}, {"id": 5}])


@TRANSPORTS
async def test_a_restart_of_everything_is_no_reason_to_refetch(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    await connection.execute(f"INSERT INTO {name} VALUES (1)")
    async with running(node, "follow.mjs", shapes={"shape": shape(library, name, sse)}) as js:
        before = await js.shows([{"id": 1}])
        for service in ("sync", "api"):
            await library.kill(service)
        await connection.execute(f"INSERT INTO {name} VALUES (2)")
        for service in ("sync", "api"):
            await library.start(service)
        after = await js.shows([{"id": 1}, {"id": 2}])
        assert after["handle"] == before["handle"]
        assert [r["offset"] for r in after["requests"]].count("-1") == 1
    await library.active()


@TRANSPORTS
async def test_it_follows_a_clause_and_odd_columns(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    table = f'"Odd {name}"'
    await connection.execute(
        f'CREATE TABLE {table} (id int PRIMARY KEY, "Status-Check" text, "weiß nicht" text, "a,b" int, secret text)'
    )
    await connection.execute(f"INSERT INTO {table} VALUES (1, 'ok', 'ja', 5, 's'), (2, 'bad', NULL, NULL, 's')")
    asked = {"where": '"Status-Check" = $1', "params": ["ok"], "columns": ["id", "Status-Check", "weiß nicht", "a,b"]}
    odd = shape(library, table, sse, **asked)

    async def expected() -> list[dict[str, Any]]:
        rows = await selected(connection, table, "\"Status-Check\" = 'ok'")
        return [{column: value for column, value in row.items() if column != "secret"} for row in rows]

    async with running(node, "follow.mjs", shapes={"shape": odd}) as js:
        await js.shows(await expected())
        for statement in (
            f"UPDATE {table} SET \"Status-Check\" = 'ok' WHERE id = 2",
            f"UPDATE {table} SET \"weiß nicht\" = 'doch', secret = 't' WHERE id = 2",
            f'UPDATE {table} SET "Status-Check" = NULL WHERE id = 1',
        ):
            await connection.execute(statement)
            await js.shows(await expected())


async def test_values_of_every_kind_are_parsed(
    node: str, library: Library, connection: asyncpg.Connection, name: str
) -> None:
    await connection.execute(
        f"CREATE TABLE {name} (id int8 PRIMARY KEY, small int2, r float8, n numeric, ok bool[], words text[][],"
        " doc json, docs jsonb[], at timestamptz, day date, bytes bytea, uid uuid, big int8[])"
    )
    full = (
        "9007199254740993, -3, 'NaN', 1.50, '{t,NULL,f}', '{{a,\"b \\\" c\"},{\"\",NULL}}', '{\"a\": [1, null]}',"
        " ARRAY['{\"x\": 1}'::jsonb, 'null'], '2026-01-02 03:04:05.6+02', '2026-01-02', '\\x00ff',"
        " '6b3f3a52-6a86-4ba3-a1d5-0f8f3c2c9d11', '{1,9007199254740993}'"
    )
    row: dict[str, Any] = {
        "id": "9007199254740993n",
        "small": -3,
        "r": None,  # NaN has no JSON: the program's line says null
        "n": "1.50",
        "ok": [True, None, False],
        "words": [["a", 'b " c'], ["", None]],
        "doc": {"a": [1, None]},
        "docs": [{"x": 1}, None],
        "at": {"parsed": "2026-01-02 01:04:05.6+00"},
        "day": "2026-01-02",
        "bytes": "\\x00ff",
        "uid": "6b3f3a52-6a86-4ba3-a1d5-0f8f3c2c9d11",
        "big": ["1n", "9007199254740993n"],
    }
    empty = {**dict.fromkeys(row), "id": "1n"}
    await connection.execute(f"INSERT INTO {name} VALUES ({full})")
    asked = {**shape(library, name), "parsers": ["timestamptz"]}
    async with running(node, "follow.mjs", shapes={"shape": asked}) as js:
        await js.shows([row])  # from a snapshot
        await connection.execute(f"INSERT INTO {name} (id) VALUES (1)")
        await js.shows([row, empty])
        await connection.execute(f"DELETE FROM {name}; INSERT INTO {name} VALUES ({full})")
        await js.shows([row])  # from the log
