"""`@electric-sql/pglite-sync`: tables of a browser's Postgres equal the library's, by whole transactions, and a copy on
disk goes on from where it was when its process is killed."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.programs import Line, Program, running
from tests.support.library import Library

pytestmark = pytest.mark.node
ROWS = 20_000


def statements(name: str) -> tuple[list[str], str]:
    """Two tables, the second referring to the first, and a query that says all that they hold in one row."""
    orders, items = f"{name}_orders", f"{name}_items"
    return [
        f"CREATE TABLE IF NOT EXISTS {orders} (id int PRIMARY KEY, items int NOT NULL, note text)",
        f"CREATE TABLE IF NOT EXISTS {items} (id int PRIMARY KEY, order_id int NOT NULL REFERENCES {orders}"
        " DEFERRABLE INITIALLY DEFERRED, done bool, tags text[], doc jsonb)",
    ], (
        f"SELECT (SELECT count(*) FROM {orders})::int AS orders, (SELECT count(*) FROM {items})::int AS items,"
        f" (SELECT coalesce(sum(items), 0) FROM {orders})::int AS promised,"
        f" (SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM {orders} o) AS orders_digest,"
        f" (SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM {items} i) AS items_digest"
    )


class Copy:
    """What a program is told to sync, and what it must come to hold."""

    def __init__(self, library: Library, connection: asyncpg.Connection, name: str, folder: Path) -> None:
        self.name, self._connection = name, connection
        self.ddl, self.state = statements(name)
        shapes = {
            table: {
                "shape": {"url": f"{library.api}/v1/shape", "params": {"table": f"{name}_{table}"}},
                "table": f"{name}_{table}",
                "primaryKey": ["id"],
            }
            for table in ("orders", "items")
        }
        self.orders = {"folder": str(folder), "key": "both", "ddl": self.ddl, "state": self.state, "shapes": shapes}

    async def make(self, orders: int, items: int) -> None:
        for statement in self.ddl:
            await self._connection.execute(statement)
        await self._connection.execute(
            f"INSERT INTO {self.name}_orders SELECT n, {items // orders}, 'n' || n FROM generate_series(1, {orders}) n"
        )
        await self._connection.execute(
            f"INSERT INTO {self.name}_items SELECT n, n % {orders} + 1, n % 2 = 0, ARRAY['a', 'b,\"c'],"
            f" '{{\"n\": 1}}' FROM generate_series(1, {items}) n"
        )

    async def order(self, number: int, items: int) -> None:
        """One transaction in both tables: the order promises as many items as there are."""
        async with self._connection.transaction():
            await self._connection.execute(f"INSERT INTO {self.name}_orders VALUES ($1, $2)", number, items)
            await self._connection.execute(
                f"INSERT INTO {self.name}_items SELECT $1 * 1000 + n, $1 FROM generate_series(1, $2) n", number, items
            )

    async def reached(self, js: Program) -> Line:
        (row,) = await self._connection.fetch(self.state)
        wanted: dict[str, Any] = dict(row)
        return await js.says(lambda line: line.get("state") == wanted, f"PGlite holds {json.dumps(wanted)}")


async def test_a_killed_copy_goes_on_from_where_it_was(
    node: str, library: Library, connection: asyncpg.Connection, name: str, tmp_path: Path
) -> None:
    copy = Copy(library, connection, name, tmp_path / "pglite")
    await copy.make(orders=100, items=ROWS)
    async with running(node, "pglite.mjs", **copy.orders) as js:
        await copy.reached(js)
        await copy.order(1001, 3)
        held = (await copy.reached(js))["state"]
        await js.kill()
    await copy.order(1002, 4)
    await connection.execute(f"UPDATE {name}_items SET done = NULL, tags = '{{}}' WHERE id <= 50")
    await connection.execute(f"DELETE FROM {name}_items WHERE order_id = 1001")
    await connection.execute(f"DELETE FROM {name}_orders WHERE id = 1001")
    async with running(node, "pglite.mjs", **copy.orders) as js:
        assert (await js.says(lambda line: "opened" in line))["opened"] == held
        requests = (await copy.reached(js))["requests"]
        assert requests and "-1" not in {request["offset"] for request in requests}
        await copy.order(1003, 5)
        await copy.reached(js)


async def test_transactions_of_several_tables_arrive_whole(
    node: str, library: Library, connection: asyncpg.Connection, name: str, tmp_path: Path
) -> None:
    copy = Copy(library, connection, name, tmp_path / "pglite")
    await copy.make(orders=1, items=2)
    async with running(node, "pglite.mjs", **copy.orders) as js:
        await copy.reached(js)
        for number in range(2, 12):
            await copy.order(number, number)
        await copy.reached(js)
        await connection.execute(f"TRUNCATE {name}_items")
        await connection.execute(f"UPDATE {name}_orders SET items = 0")
        await copy.reached(js)
        states = [line["state"] for line in js.said if "state" in line]
        torn = [state for state in states if state["items"] not in (0, state["promised"])]
        assert torn == [], "an order is there with all its items, or not at all"
        assert not [line for line in js.said if "error" in line]
        await copy.order(20, 3)
        await copy.reached(js)
