"""Tables that are not the plain case, and DDL that hides among changes: the copy still equals SELECT, or is refused."""

import asyncio
import secrets

import asyncpg
import pytest

from medley.client import ShapeRefused
from tests.support.library import Follower, Library, rows_of, until


def a_name() -> str:
    return f"t_{secrets.token_hex(4)}"


async def test_a_partitioned_table_is_one_shape(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    await database.execute(f"CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES FROM (0) TO (10)")
    await database.execute(f"CREATE TABLE {table}_b PARTITION OF {table} FOR VALUES FROM (10) TO (20)")
    await database.execute(f"INSERT INTO {table} VALUES (1, 'a'), (11, 'b')")
    async with Follower(library.api, table) as follower:
        await follower.reaches(await rows_of(database, table))
        await database.execute(f"UPDATE {table} SET id = 12, v = 'moved' WHERE id = 1")
        await database.execute(f"UPDATE {table} SET v = 'c' WHERE id = 11")
        await follower.reaches(await rows_of(database, table))
        await database.execute(f"CREATE TABLE {table}_c PARTITION OF {table} FOR VALUES FROM (20) TO (30)")
        await database.execute(f"INSERT INTO {table} VALUES (21, 'new partition')")
        await database.execute(f"UPDATE {table} SET v = 'x' WHERE id = 21")
        await follower.reaches(await rows_of(database, table))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE {t}_b",
        "TRUNCATE {t}_b",
        "ALTER TABLE {t} DETACH PARTITION {t}_b",
        "ALTER TABLE {t} ATTACH PARTITION {t}_d FOR VALUES FROM (30) TO (40)",
    ],
)
async def test_rows_that_come_and_go_with_their_partition(
    library: Library, database: asyncpg.Connection, statement: str
) -> None:
    """Nothing in the stream tells of it."""
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    await database.execute(f"CREATE TABLE {table}_a PARTITION OF {table} FOR VALUES FROM (0) TO (10)")
    await database.execute(f"CREATE TABLE {table}_b PARTITION OF {table} FOR VALUES FROM (10) TO (20)")
    await database.execute(
        f"CREATE TABLE {table}_d (id int PRIMARY KEY, v text); INSERT INTO {table}_d VALUES (31, 'd')"
    )
    await database.execute(f"ALTER TABLE {table}_d REPLICA IDENTITY FULL")
    await database.execute(f"INSERT INTO {table} VALUES (1, 'a'), (11, 'b')")
    async with Follower(library.api, table) as follower:
        await follower.reaches(await rows_of(database, table))
        await database.execute(statement.format(t=table))
        await follower.reaches(await rows_of(database, table), patience=25)


async def test_a_table_that_others_inherit_from_is_its_own_rows(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text)")
    await database.execute(f"CREATE TABLE {table}_child () INHERITS ({table})")
    await database.execute(f"INSERT INTO {table} VALUES (1, 'own')")
    await database.execute(f"INSERT INTO {table}_child VALUES (2, 'child')")
    async with Follower(library.api, table) as follower:
        await follower.reaches([{"id": "1", "v": "own"}])
        await database.execute(f"UPDATE {table} SET v = v || '!'")
        await follower.reaches([{"id": "1", "v": "own!"}])


async def test_generated_and_dropped_columns(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(
        f"CREATE TABLE {table} (gone int, id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, v text)"
    )
    await database.execute(f"ALTER TABLE {table} DROP COLUMN gone")
    await database.execute(f"INSERT INTO {table} VALUES (1, DEFAULT, 'a')")
    async with Follower(library.api, table) as follower:
        shown = {"twice"} if database.get_server_version().major >= 18 else set()  # earlier streams do not hold it
        await follower.reaches([{"id": "1", "v": "a", **dict.fromkeys(shown, "2")}])
        await database.execute(f"UPDATE {table} SET id = 2, v = NULL")
        await follower.reaches([{"id": "2", "v": None, **dict.fromkeys(shown, "4")}])


async def test_virtual_columns_are_refused_and_updates_go_on(library: Library, database: asyncpg.Connection) -> None:
    if database.get_server_version().major < 18:
        pytest.skip("virtual generated columns came with Postgres 18")
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL)")
    await database.execute(f"INSERT INTO {table} VALUES (1)")
    async with Follower(library.api, table) as follower:
        with pytest.raises(ShapeRefused, match="virtual generated columns"):
            await follower.reaches([])
    await database.execute(f"UPDATE {table} SET id = 2")


@pytest.mark.parametrize("kind", ["UNLOGGED TABLE", "VIEW"])
async def test_what_leaves_no_changes_is_refused(library: Library, database: asyncpg.Connection, kind: str) -> None:
    name = a_name()
    await database.execute(f"CREATE {kind} {name} {'AS SELECT 1 AS id' if kind == 'VIEW' else '(id int PRIMARY KEY)'}")
    async with Follower(library.api, name) as follower:
        with pytest.raises(ShapeRefused, match=name):
            await follower.reaches([])


@pytest.mark.parametrize(
    "statements",
    [
        [
            "ALTER TABLE {t} RENAME TO {t}_x",
            "INSERT INTO {t}_x VALUES (2, 'b', 'ann')",
            "ALTER TABLE {t}_x RENAME TO {t}",
        ],
        ["ALTER TABLE {t} REPLICA IDENTITY DEFAULT", "DELETE FROM {t}", "ALTER TABLE {t} REPLICA IDENTITY FULL"],
        ["ALTER TABLE {t} REPLICA IDENTITY DEFAULT", "UPDATE {t} SET v = 'n'", "ALTER TABLE {t} REPLICA IDENTITY FULL"],
        [
            "ALTER PUBLICATION medley DROP TABLE {t}",
            "INSERT INTO {t} VALUES (2, 'b', 'ann')",
            "ALTER PUBLICATION medley ADD TABLE {t}",
        ],
        ["INSERT INTO {t} VALUES (2, 'b', 'ann')", "ALTER TABLE {t} ADD w int DEFAULT 3", "UPDATE {t} SET w = 4"],
        ["INSERT INTO {t} VALUES (2, 'b', 'ann')", "TRUNCATE {t}", "INSERT INTO {t} VALUES (3, 'c', 'ann')"],
    ],
)
async def test_ddl_in_the_middle_of_changes(
    library: Library, database: asyncpg.Connection, statements: list[str]
) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text, owner text)")
    await database.execute(f"INSERT INTO {table} VALUES (1, 'a', 'ann')")
    async with Follower(library.api, table) as whole, Follower(library.api, table, where="owner = 'ann'") as narrow:
        for follower in (whole, narrow):
            await follower.reaches(await rows_of(database, table))
        async with database.transaction():
            for statement in statements:
                await database.execute(statement.format(t=table))
        for follower in (whole, narrow):
            await follower.reaches(await rows_of(database, table))


async def test_a_column_that_may_be_null_now_changes_the_schema(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text NOT NULL)")
    async with Follower(library.api, table) as follower:
        await follower.reaches([])
        await database.execute(f"ALTER TABLE {table} ALTER v DROP NOT NULL")

        async def told() -> bool:
            return any(message["headers"].get("control") == "must-refetch" for message in follower.messages)

        await until(told, "clients are told to fetch again, with the new schema")
        await database.execute(f"INSERT INTO {table} VALUES (1, NULL)")
        await follower.reaches([{"id": "1", "v": None}])


async def test_a_row_larger_than_a_message_stops_nobody_else(library: Library, database: asyncpg.Connection) -> None:
    large, other = a_name(), a_name()
    for table in (large, other):
        await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v text)")
    async with Follower(library.api, large) as follower, Follower(library.api, other) as neighbour:
        await follower.reaches([])
        await neighbour.reaches([])
        await database.execute(f"INSERT INTO {large} VALUES (1, repeat('x', 5000000))")
        await follower.reaches(await rows_of(database, large))
        await database.execute(f"UPDATE {large} SET id = 2")  # old and new row together are too much
        await follower.reaches(await rows_of(database, large))
        await database.execute(f"INSERT INTO {large} VALUES (3, repeat('x', 9000000))")
        await database.execute(f"INSERT INTO {other} VALUES (1, 'goes on')")
        await neighbour.reaches(await rows_of(database, other))
    async with Follower(library.api, large) as refused:
        with pytest.raises(ShapeRefused, match="does not fit into a message"):
            await refused.reaches([])


async def test_many_shapes_opened_at_once(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v int)")
    await database.execute(f"INSERT INTO {table} SELECT g, g % 50 FROM generate_series(1, 200) g")
    followers = [Follower(library.api, table, where=f"v = {number}") for number in range(50)]
    for change in ("SELECT 1", f"UPDATE {table} SET v = (v + 1) % 50"):
        await database.execute(change)
        rows = [await rows_of(database, table, f"v = {number}") for number in range(50)]
        await asyncio.gather(*(follower.reaches(mine) for follower, mine in zip(followers, rows, strict=True)))
    for follower in followers:
        await follower.__aexit__()
