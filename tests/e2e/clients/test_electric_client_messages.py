"""What a stream of `@electric-sql/client` says: old values, changes without a snapshot, and subset snapshots that fit
between the changes."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.programs import Line, Program, Row, running, selected
from tests.support.library import Library

pytestmark = pytest.mark.node
TRANSPORTS = pytest.mark.parametrize("sse", [pytest.param(False, id="poll"), pytest.param(True, id="sse")])
METHODS = pytest.mark.parametrize("method", ["GET", "POST"])


def stream(library: Library, table: str, sse: bool = False, **options: Any) -> dict[str, Any]:
    params = {"table": table, **options.pop("params", {})}
    return {"url": f"{library.api}/v1/shape", "params": params, "liveSse": sse, **options}


def changes(js: Program) -> list[tuple[str, Row, Row | None]]:
    """Every change so far: operation, value, old value."""
    messages = [message for line in js.said for message in line.get("messages", [])]
    return [(m["headers"]["operation"], m["value"], m.get("old_value")) for m in messages if "value" in m]


def has(js: Program, number: int) -> Callable[[Line], bool]:
    return lambda _: len(changes(js)) >= number


def up_to_date(line: Line) -> bool:
    return any(m["headers"].get("control") == "up-to-date" for m in line.get("messages", []))


async def numbered(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute(
        f'CREATE TABLE {name} (id int PRIMARY KEY, score int, "Odd Name" text, low bool);'
        f"INSERT INTO {name} SELECT n, n % 10, 'n' || n, n <= 90 FROM generate_series(1, 100) n"
    )


@TRANSPORTS
async def test_a_full_replica_tells_old_values(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, a int, b text); INSERT INTO {name} VALUES (1)")
    async with running(node, "messages.mjs", **stream(library, name, sse, params={"replica": "full"})) as js:
        await js.says(up_to_date)
        for statement in (
            f"UPDATE {name} SET a = 5",
            f"UPDATE {name} SET b = 'x', a = 6",
            f"UPDATE {name} SET id = 2",
            f"DELETE FROM {name}",
        ):
            await connection.execute(statement)
        await js.says(has(js, 6))
    assert changes(js) == [
        ("insert", {"id": 1, "a": None, "b": None}, None),
        ("update", {"id": 1, "a": 5, "b": None}, {"a": None}),
        ("update", {"id": 1, "a": 6, "b": "x"}, {"a": 5, "b": None}),
        ("delete", {"id": 1, "a": 6, "b": "x"}, None),
        ("insert", {"id": 2, "a": 6, "b": "x"}, None),
        ("delete", {"id": 2, "a": 6, "b": "x"}, None),
    ]


@TRANSPORTS
@pytest.mark.parametrize(
    "options", [{"log": "changes_only"}, {"offset": "now"}, {"log": "changes_only", "offset": "now"}]
)
async def test_a_stream_may_begin_with_what_comes(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool, options: dict[str, Any]
) -> None:
    await numbered(connection, name)
    async with running(node, "messages.mjs", **stream(library, name, sse, **options)) as js:
        await js.says(up_to_date)
        await connection.execute(f"INSERT INTO {name} VALUES (200, 1); DELETE FROM {name} WHERE id = 1")
        await js.says(has(js, 2))
    assert changes(js) == [
        ("insert", {"id": 200, "score": 1, "Odd Name": None, "low": None}, None),
        ("delete", {"id": 1}, None),
    ]


@METHODS
@TRANSPORTS
async def test_a_subset_snapshot_fits_between_the_changes(
    node: str, library: Library, connection: asyncpg.Connection, name: str, sse: bool, method: str
) -> None:
    await numbered(connection, name)
    options = stream(library, name, sse, log="changes_only", offset="now", subsetMethod=method)
    async with running(node, "messages.mjs", **options) as js:
        await js.says(up_to_date)
        held: dict[int, Row] = {}
        for score in (3, 4):
            await connection.execute(f"UPDATE {name} SET \"Odd Name\" = 'before' WHERE score = {score} AND id < 50")
            await js.tell("snapshot", params={"where": "score = $1", "params": {"1": str(score)}})
            await js.says(lambda line: line.get("kind") == "snapshot", "the snapshot")
            await connection.execute(f"UPDATE {name} SET \"Odd Name\" = 'after' WHERE score = {score} AND id < 20")
        wanted = {row["id"]: row for row in await selected(connection, name, "score IN (3, 4)")}

        def equal(_: Line) -> bool:
            held.clear()
            for operation, value, _old in changes(js):
                if operation == "insert" or value["id"] in held:
                    held[value["id"]] = {**held.get(value["id"], {}), **value}
            return held == wanted

        if not equal({}):
            await js.says(equal, "the subsets with what changed since")
    requests = next(line["requests"] for line in reversed(js.said) if "requests" in line)
    assert [r["method"] for r in requests].count("POST") == (0 if method == "GET" else 2)


@METHODS
async def test_subset_snapshots_beside_the_stream(
    node: str, library: Library, connection: asyncpg.Connection, name: str, method: str
) -> None:
    await numbered(connection, name)
    options = stream(library, name, subsetMethod=method, params={"where": "low = true"})
    async with running(node, "messages.mjs", **options) as js:
        await js.says(up_to_date)
        for params, query in (
            ({"orderBy": "score DESC, id", "limit": 7}, "ORDER BY score DESC, id LIMIT 7"),
            ({"orderBy": "id", "limit": 5, "offset": 3}, "ORDER BY id LIMIT 5 OFFSET 3"),
            ({"where": "\"Odd Name\" LIKE 'n1%'", "orderBy": '"Odd Name"'},
             "AND \"Odd Name\" LIKE 'n1%' ORDER BY \"Odd Name\""),
            ({"where": "score = $1 OR id = $2", "params": {"1": "4", "2": "7"}, "orderBy": "id DESC"},
             "AND (score = 4 OR id = 7) ORDER BY id DESC"),
        ):  # fmt: skip
            await js.tell("fetch", params=params)
            said = await js.says(lambda line: line.get("kind") == "fetch")
            assert said.get("rows") == await selected(connection, name, f"low {query}"), said
        await js.tell("fetch", params={"where": "nothing = 1"})
        refused = await js.says(lambda line: line.get("kind") == "fetch")
        assert refused["status"] == 400 and "subset" in refused["json"]["errors"], refused
