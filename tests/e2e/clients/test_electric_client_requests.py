"""How `@electric-sql/client` asks: no more often than it must, many shapes at once, again after a refusal that it can
mend, and not after it was told to stop."""

from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.programs import Line, running, selected
from tests.support.library import Library

pytestmark = pytest.mark.node
TRANSPORTS = pytest.mark.parametrize("sse", [pytest.param(False, id="poll"), pytest.param(True, id="sse")])
CHANGES = 30
SHAPES = 50


def shape(library: Library, table: str, sse: bool = False, **params: Any) -> dict[str, Any]:
    """Options of a ShapeStream."""
    return {"url": f"{library.api}/v1/shape", "params": {"table": table, **params}, "liveSse": sse}


@TRANSPORTS
async def test_it_asks_once_for_each_change_and_not_at_all_while_nothing_happens(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    for table in (f"{name}_busy", f"{name}_quiet"):
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    shapes = {each: shape(library, f"{name}_{each}", sse) for each in ("quiet", "busy")}
    async with running(node, "follow.mjs", shapes=shapes) as js:
        await js.says(lambda line: line["name"] == "quiet", "the quiet shape")
        for number in range(CHANGES):
            await connection.execute(f"INSERT INTO {name}_busy VALUES ({number})")
            await js.shows(await selected(connection, f"{name}_busy"), "busy")
        await js.tell("requests")
        quiet = await js.says(lambda line: line["name"] == "quiet" and "rows" not in line)
        busy = await js.says(lambda line: line["name"] == "busy" and "rows" not in line)
    # The snapshot, the log up to its end, then live: one that waits (on a slow machine, to its end), or one stream.
    assert [r["offset"] for r in quiet["requests"] if "live" not in r] == ["-1", "0_0"]
    assert 1 <= len(quiet["requests"]) - 2 <= 3
    assert {r["status"] for r in busy["requests"][:-1]} == {200}
    live = [r for r in busy["requests"] if r.get("live") == "true"]
    assert len(live) == 1 if sse else len(live) <= CHANGES + 1
    assert len(busy["requests"]) - len(live) <= 2


@TRANSPORTS
async def test_many_shapes_are_followed_by_one_process(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, owner int, n int)")
    await connection.execute(f"INSERT INTO {name} SELECT n, n % {SHAPES}, 0 FROM generate_series(1, 500) n")
    shapes = {str(owner): shape(library, name, sse, where="owner = $1", params=[str(owner)]) for owner in range(SHAPES)}
    held: dict[str, Any] = {}
    async with running(node, "follow.mjs", shapes=shapes) as js:
        for statement in (
            "SELECT",
            f"UPDATE {name} SET n = id",
            f"UPDATE {name} SET owner = (owner + 1) % {SHAPES} WHERE id % 7 = 0",
            f"DELETE FROM {name} WHERE id % 3 = 0",
        ):
            await connection.execute(statement)
            rows = {row["id"]: row for row in await selected(connection, name)}

            def all_equal(line: Line, rows: dict[int, Any] = rows) -> bool:
                held[line["name"]] = line.get("rows", [])
                together = {row["id"]: row for each in held.values() for row in each}
                doubled = sum(map(len, held.values())) != len(together)
                right = all(str(row["owner"]) == owner for owner, each in held.items() for row in each)
                return together == rows and right and not doubled

            await js.says(all_equal, f"all shapes after {statement}")


async def test_it_goes_on_when_its_owner_mends_what_was_refused(
    node: str, library: Library, connection: asyncpg.Connection, name: str
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    wrong = {
        "column": shape(library, name, columns=["id", "nothing"]),
        "clause": shape(library, name, where="nothing = 1"),
        "table": shape(library, f"{name}_not_there"),
    }
    shapes = {each: {**options, "repair": {"table": name}} for each, options in wrong.items()}
    shapes["clause"]["repair"] = {"table": name, "where": "id = 1"}
    shapes["column"]["repair"] = {"table": name, "columns": ["id"]}
    async with running(node, "follow.mjs", shapes=shapes) as js:
        refused: set[str] = set()
        held: set[str] = set()

        def done(line: Line) -> bool:
            if "refused" in line:
                assert line["refused"] == 400 and line["json"]["message"] == "Invalid request"
                refused.add(line["name"])
            elif line["rows"] == [{"id": 1}]:
                held.add(line["name"])
            return refused == held == set(wrong)

        await js.says(done, "all are refused, mended, and hold the row")


@TRANSPORTS
async def test_it_asks_no_more_once_it_is_stopped(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    async with running(node, "follow.mjs", shapes={"shape": shape(library, name, sse)}) as js:
        await js.shows([{"id": 1}])
        await js.tell("abort")
        assert await js.ends() == 0, "nothing is left that keeps the process alive"
        assert js.said[-1] == {"aborted": True}
