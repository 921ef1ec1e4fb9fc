"""MultiShapeStream of `@electric-sql/experimental`: shapes of one library advance together, the quiet ones too."""

import asyncpg
import pytest

from tests.e2e.clients.programs import Line, ordered, running, selected
from tests.support.library import Library

pytestmark = pytest.mark.node


async def test_a_quiet_shape_is_up_to_date_with_a_busy_one(
    node: str, library: Library, connection: asyncpg.Connection, name: str
) -> None:
    tables = {"quiet": f"{name}_quiet", "busy": f"{name}_busy"}
    for table in tables.values():
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} VALUES (1)")
    shapes = {each: {"url": f"{library.api}/v1/shape", "params": {"table": table}} for each, table in tables.items()}
    async with running(node, "multi.mjs", shapes=shapes) as js:
        for number in range(2, 6):
            await connection.execute(f"INSERT INTO {tables['busy']} VALUES ({number})")
            wanted = ordered(await selected(connection, tables["busy"]))

            def reached(line: Line, wanted: list[str] = wanted) -> bool:
                lsn = int(line["lsns"].get("busy") or 0)
                return ordered(line["rows"]["busy"]) == wanted and all(
                    int(line["reached"].get(each, -1)) >= lsn for each in tables
                )

            seen = await js.says(reached, "both shapes at the busy one's last transaction")
            assert seen["upToDate"]
        assert seen["changes"]["quiet"] == 1, "it advanced without a change"
        lasts = [one for line in js.said for one in line["last"] if one["shape"] == "busy"]
        assert len({one["lsn"] for one in lasts}) == len(lasts), "one message of a transaction is its last"


async def test_a_rotation_of_one_leaves_the_other(
    node: str, library: Library, connection: asyncpg.Connection, name: str
) -> None:
    tables = {"kept": f"{name}_kept", "emptied": f"{name}_emptied"}
    for table in tables.values():
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY); INSERT INTO {table} VALUES (1), (2)")
    shapes = {each: {"url": f"{library.api}/v1/shape", "params": {"table": table}} for each, table in tables.items()}
    async with running(node, "multi.mjs", shapes=shapes) as js:
        both = [{"id": 1}, {"id": 2}]
        await js.says(lambda line: line["rows"] == {"kept": both, "emptied": both}, "both snapshots")
        await connection.execute(f"TRUNCATE {tables['emptied']}; INSERT INTO {tables['emptied']} VALUES (3)")
        await connection.execute(f"INSERT INTO {tables['kept']} VALUES (3)")
        wanted = {"kept": [*both, {"id": 3}], "emptied": [{"id": 3}]}
        seen = await js.says(lambda line: line["rows"] == wanted, "both after the rotation")
        assert seen["changes"] == {"kept": 3, "emptied": 3}
