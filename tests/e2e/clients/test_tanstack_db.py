"""`@tanstack/electric-db-collection`: live queries of TanStack DB over shapes, in each of its modes of sync."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.programs import Program, Row, running
from tests.support.library import Library

pytestmark = pytest.mark.node
MODES = pytest.mark.parametrize("mode", ["eager", "progressive", "on-demand"])
QUERIES = {
    "all": "SELECT id, title, score, owner_id FROM {0}_items",
    "best": "SELECT id, title, score, owner_id FROM {0}_items WHERE score > 10 ORDER BY score DESC LIMIT 3",
    "annas": "SELECT id, title, score, owner_id FROM {0}_items WHERE title ILIKE 'anna%'",
    "joined": "SELECT i.id, i.title, o.name AS owner FROM {0}_items i JOIN {0}_owners o ON o.id = owner_id"
    " WHERE o.name = 'ann'",
}


@asynccontextmanager
async def collections(
    node: str, library: Library, connection: asyncpg.Connection, name: str, mode: str
) -> AsyncIterator[Program]:
    """Tables with rows in them, and a program with collections of them."""
    await connection.execute(
        f"CREATE TABLE {name}_owners (id int PRIMARY KEY, name text);"
        f"CREATE TABLE {name}_items (id int PRIMARY KEY, title text, score int, owner_id int);"
        f"INSERT INTO {name}_owners VALUES (1, 'ann'), (2, 'bob');"
        f"INSERT INTO {name}_items SELECT n, CASE n % 3 WHEN 0 THEN 'Anna ' ELSE 'Bert ' END || n, n, n % 2 + 1"
        " FROM generate_series(1, 40) n"
    )
    url = f"{library.api}/v1/shape"
    # On demand, a collection does not hold the row whose update makes it match: it needs all of it.
    replica = "full" if mode == "on-demand" else "default"
    tables = {each: {"table": f"{name}_{each}", "replica": replica} for each in ("items", "owners")}
    shapes = {each: {"url": url, "params": params} for each, params in tables.items()}
    async with running(node, "tanstack.mjs", mode=mode, shapes=shapes) as js:
        yield js


async def expected(connection: asyncpg.Connection, name: str, query: str) -> list[Row]:
    return [dict(row) for row in await connection.fetch(QUERIES[query].format(name))]


async def changed(connection: asyncpg.Connection, statement: str) -> int:
    """Execute it in one transaction; the id that clients are told."""
    async with connection.transaction():
        await connection.execute(statement)
        txid: int = await connection.fetchval("SELECT pg_current_xact_id()::xid::text::int8")
    return txid


@MODES
@pytest.mark.parametrize("query", list(QUERIES))
async def test_a_live_query_equals_select(
    node: str, library: Library, connection: asyncpg.Connection, name: str, mode: str, query: str
) -> None:
    async with collections(node, library, connection, name, mode) as js:
        await js.tell("query", name=query)
        await js.shows(await expected(connection, name, query), query)
        for statement in (
            f"INSERT INTO {name}_items VALUES (100, 'ANNA new', 1000, 1), (101, 'Bert new', 1, 2)",
            f"UPDATE {name}_items SET title = 'Anna turned', score = 999, owner_id = 1 WHERE id = 2",
            f"UPDATE {name}_items SET score = NULL, title = 'x', owner_id = 2 WHERE id IN (39, 40, 100)",
            f"DELETE FROM {name}_items WHERE id = 2",
        ):
            await connection.execute(statement)
            await js.shows(await expected(connection, name, query), query)
        await connection.execute(f"TRUNCATE {name}_items; INSERT INTO {name}_items VALUES (7, 'anna', 77, 1)")
        last = await js.shows(await expected(connection, name, query), query)
        if query == "best":
            assert last["rows"] == await expected(connection, name, query)
        assert not [line for line in js.said if "refused" in line]


@MODES
async def test_a_transaction_can_be_awaited(
    node: str, library: Library, connection: asyncpg.Connection, name: str, mode: str
) -> None:
    async with collections(node, library, connection, name, mode) as js:
        await js.tell("query", name="all")
        await js.shows(await expected(connection, name, "all"), "all")
        txid = await changed(connection, f"INSERT INTO {name}_items VALUES (200, 'from elsewhere', 1, 1)")
        await js.tell("await", txid=txid)
        assert (await js.says(lambda line: "awaited" in line, "the transaction"))["held"] is True


@MODES
async def test_an_optimistic_insert_stays_until_its_transaction_is_there(
    node: str, library: Library, connection: asyncpg.Connection, name: str, mode: str
) -> None:
    async with collections(node, library, connection, name, mode) as js:
        await js.tell("query", name="all")
        await js.shows(await expected(connection, name, "all"), "all")
        row: dict[str, Any] = {"id": 300, "title": "mine", "score": 5, "owner_id": 2}
        await js.tell("insert", row=row)
        assert (await js.says(lambda line: "insert" in line))["insert"] == row
        assert (await js.says(lambda line: "optimistic" in line))["optimistic"] is True
        txid = await changed(connection, f"INSERT INTO {name}_items VALUES (300, 'mine, as kept', 5, 2)")
        await js.tell("inserted", txid=txid)
        await js.shows(await expected(connection, name, "all"), "all")
        if not any("persisted" in line for line in js.said):
            await js.says(lambda line: "persisted" in line, "the mutation to be persisted")
        rows = [line["rows"] for line in js.said if line.get("name") == "all"]
        there = [any(each["id"] == 300 for each in held) for held in rows]
        assert there == sorted(there), "once it is seen it does not vanish"
