"""Shapes whose clause has a subquery follow the tables that it reads: rows move in and out as inserts and deletes."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import pytest

from tests.support import web
from tests.support.library import Follower, Library, rows_of, until
from tests.support.shapes import connected


class Tables(NamedTuple):
    library: Library
    database: asyncpg.Connection
    songs: str
    links: str
    lists: str

    def clause(self, text: str) -> str:
        return text.format(songs=self.songs, links=self.links, lists=self.lists)

    def follower(self, text: str, **query: Any) -> Follower:
        return Follower(self.library.api, self.songs, where=self.clause(text), **query)

    async def rows(self, text: str) -> list[dict[str, str | None]]:
        return await rows_of(self.database, self.songs, self.clause(text))

    async def run(self, statement: str) -> None:
        await self.database.execute(self.clause(statement))


@pytest.fixture
async def tables(library: Library) -> AsyncIterator[Tables]:
    """Songs, lists, and which songs are in which list; the last one with a key."""
    name = secrets.token_hex(4)
    database = await library.connect()
    found = Tables(library, database, f"songs_{name}", f"links_{name}", f"lists_{name}")
    await found.run(
        "CREATE TABLE {songs} (id int PRIMARY KEY, title text, album int);"
        "CREATE TABLE {lists} (id int PRIMARY KEY, owner text);"
        "CREATE TABLE {links} (list int, song int, PRIMARY KEY (list, song));"
        "INSERT INTO {songs} SELECT i, 'song ' || i, i % 5 FROM generate_series(1, 40) i;"
        "INSERT INTO {lists} SELECT i, 'owner ' || i % 3 FROM generate_series(1, 6) i;"
        "INSERT INTO {links} SELECT i % 6 + 1, i FROM generate_series(1, 20) i"
    )
    yield found
    await database.close()


PLAYLIST = "id IN (SELECT song FROM {links} WHERE list = 3)"
CLAUSES = [
    PLAYLIST,
    "id NOT IN (SELECT song FROM {links} WHERE list = 3)",
    "album NOT IN (SELECT song FROM {links} WHERE list = 3) OR album IS NULL",
    "EXISTS (SELECT FROM {links} l WHERE l.song = {songs}.id AND l.list < 4)",
    "NOT EXISTS (SELECT FROM {links} l WHERE l.song = {songs}.id)",
    "(id, album) IN (SELECT song, list FROM {links})",
    "(id, album) NOT IN (SELECT song, list FROM {links})",
    "id IN (SELECT song FROM {links} WHERE list IN (SELECT id FROM {lists} WHERE owner = 'owner 1'))",
    "id IN (SELECT song FROM {links} WHERE list NOT IN (SELECT id FROM {lists} WHERE owner = 'owner 1'))",
    "id IN (SELECT song FROM {links} WHERE list = 2) AND title LIKE '%1%' OR album = 4",
    "album IN (SELECT album FROM {songs} WHERE title = 'song 7')",
    "id <> ALL (SELECT song FROM {links} WHERE list = 1)",
    "id IN (SELECT list FROM {links}) IS NOT TRUE AND EXISTS (SELECT FROM {lists} WHERE id = album)",
    "EXISTS (SELECT FROM {lists} WHERE owner = 'owner 2')",
]


@pytest.mark.parametrize("where", CLAUSES)
async def test_moves_in_and_out(tables: Tables, where: str) -> None:
    async with tables.follower(where) as follower:
        await follower.reaches(await tables.rows(where))
        for statement in (
            "INSERT INTO {links} VALUES (3, 30), (3, 31), (2, 31), (1, 3), (4, 4)",
            "DELETE FROM {links} WHERE song = 2",
            "UPDATE {links} SET song = 33 WHERE song = 8",
            "UPDATE {lists} SET owner = 'owner 1' WHERE id = 3",
            "DELETE FROM {lists} WHERE id = 1",
            "UPDATE {songs} SET album = NULL WHERE id IN (3, 30)",
            "UPDATE {songs} SET id = 100 + id WHERE id IN (31, 33)",
            "BEGIN; INSERT INTO {songs} VALUES (50, 'song 51', 4); INSERT INTO {links} VALUES (3, 50), (2, 50);"
            " UPDATE {songs} SET title = 'song 7' WHERE id = 50; COMMIT",
            "DELETE FROM {lists}",
            "DELETE FROM {links}",
        ):
            await tables.run(statement)
            await follower.reaches(await tables.rows(where))
        assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]


async def test_a_move_is_a_plain_insert_of_its_transaction(tables: Tables) -> None:
    async with tables.follower(PLAYLIST) as follower:
        await follower.reaches(await tables.rows(PLAYLIST))
        seen = len(follower.messages)
        xid = await tables.database.fetchval(
            tables.clause("WITH x AS (INSERT INTO {links} VALUES (3, 39)) SELECT pg_current_xact_id()::text")
        )
        await follower.reaches(await tables.rows(PLAYLIST))
        [message] = [one for one in follower.messages[seen:] if "key" in one]
        assert message["value"] == {"id": "39", "title": "song 39", "album": "4"}
        assert message["headers"]["operation"] == "insert"
        assert message["headers"]["txids"] == [int(xid)]
        assert message["headers"]["last"] is True


async def test_a_table_without_a_key_holds_equal_rows(tables: Tables) -> None:
    await tables.run(
        "ALTER TABLE {links} DROP CONSTRAINT {links}_pkey, ALTER list DROP NOT NULL, ALTER song DROP NOT NULL;"
        "INSERT INTO {links} VALUES (3, 30), (3, 30)"
    )
    async with tables.follower(PLAYLIST) as follower:
        await follower.reaches(await tables.rows(PLAYLIST))
        one = "(SELECT ctid FROM {links} WHERE song = 30 LIMIT 1)"
        for statement in (
            f"DELETE FROM {{links}} WHERE ctid = {one}",
            f"DELETE FROM {{links}} WHERE ctid = {one}",
            "INSERT INTO {links} VALUES (NULL, 30), (3, NULL), (3, 31), (3, 31)",
            "DELETE FROM {links} WHERE song = 31",
        ):
            await tables.run(statement)
            await follower.reaches(await tables.rows(PLAYLIST))


async def test_every_statement_of_many_writers_is_followed(tables: Tables) -> None:
    """Followers come while writers write to all tables at once; each ends up with what SELECT says."""

    async def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        connection = await tables.library.connect()
        for _ in range(120):
            song, number = chance.randrange(1, 60), chance.randrange(1, 7)
            statement = chance.choice(
                (
                    f"INSERT INTO {{songs}} VALUES ({song}, 'song {song}', {number}) ON CONFLICT DO NOTHING",
                    f"DELETE FROM {{songs}} WHERE id = {song}",
                    f"UPDATE {{songs}} SET album = {number} WHERE id = {song}",
                    f"INSERT INTO {{links}} VALUES ({number}, {song}) ON CONFLICT DO NOTHING",
                    f"DELETE FROM {{links}} WHERE list = {number} AND song < {song}",
                    f"UPDATE {{lists}} SET owner = 'owner {song % 3}' WHERE id = {number}",
                    f"WITH x AS (DELETE FROM {{songs}} WHERE id = {song}) DELETE FROM {{links}} WHERE song = {song}",
                )
            )
            await connection.execute(tables.clause(statement))
            await asyncio.sleep(chance.random() * 0.01)
        await connection.close()

    writers = [asyncio.create_task(write(seed)) for seed in range(4)]
    followers = []
    for where in CLAUSES:
        followers.append((where, tables.follower(where)))
        await asyncio.sleep(0.05)
    await asyncio.gather(*writers)
    for where, follower in followers:
        async with follower:
            await follower.reaches(await tables.rows(where))
            assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"], where


async def test_shapes_go_on_after_a_restart(tables: Tables) -> None:
    async with tables.follower(PLAYLIST) as follower:
        await follower.reaches(await tables.rows(PLAYLIST))
        await tables.library.kill("sync")
        await tables.run("INSERT INTO {links} VALUES (3, 35); UPDATE {songs} SET title = 'new' WHERE id = 35")
        await tables.run("DELETE FROM {links} WHERE song = 35; INSERT INTO {links} VALUES (3, 36)")
        await tables.library.start("sync")
        await follower.reaches(await tables.rows(PLAYLIST))
        assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE {links}",
        "ALTER TABLE {links} ALTER COLUMN song TYPE bigint",
        "ALTER TABLE {links} RENAME TO {links}_other; CREATE TABLE {links} (list int, song int)",
    ],
)
async def test_what_cannot_be_followed_makes_the_shape_start_afresh(tables: Tables, statement: str) -> None:
    async with tables.follower(PLAYLIST) as follower:
        await follower.reaches(await tables.rows(PLAYLIST))
        await tables.run(statement)

        async def refetched() -> bool:
            return any(m["headers"].get("control") == "must-refetch" for m in follower.messages)

        await until(refetched, "the shape is fetched again")
        await tables.run("INSERT INTO {links} VALUES (3, 12)")
        await follower.reaches(await tables.rows(PLAYLIST))


async def test_a_shape_that_goes_takes_nothing_from_its_siblings(tables: Tables) -> None:
    """Clauses alike but for a constant, of which one is found by an index and the other is not."""
    found, other = f"{PLAYLIST} AND title LIKE 's%'", f"{PLAYLIST} AND title LIKE '%o%'"
    async with tables.follower(other) as follower:
        async with tables.follower(found) as leaving:
            await leaving.reaches(await tables.rows(found))
            await follower.reaches(await tables.rows(other))
            handle = await _handle(tables, found)
        async with connected(tables.library.nats_url, tables.database) as shapes:
            assert await shapes.drop(handle)
        await tables.run("UPDATE {songs} SET title = 'of another name' WHERE id IN (SELECT song FROM {links})")
        await tables.run("DELETE FROM {songs} WHERE id = 14")
        await follower.reaches(await tables.rows(other))


async def _handle(tables: Tables, where: str) -> str:
    async with web.client(base_url=tables.library.api) as http:
        query = {"table": tables.songs, "where": tables.clause(where), "offset": "now"}
        return str((await http.get("/v1/shape", params=query)).headers["electric-handle"])


async def test_of_tables_that_inherit_the_named_ones_own_rows_are_read(tables: Tables) -> None:
    await tables.run("CREATE TABLE {links}_more () INHERITS ({links}); INSERT INTO {links}_more VALUES (3, 30)")
    own = PLAYLIST.replace("FROM", "FROM ONLY")
    async with tables.follower(PLAYLIST) as follower:
        await follower.reaches(await tables.rows(own))
        await tables.run("UPDATE {songs} SET title = 'x'; INSERT INTO {links}_more VALUES (3, 31)")
        await tables.run("INSERT INTO {links} VALUES (3, 32)")
        await follower.reaches(await tables.rows(own))


async def test_a_table_in_parts_is_read_whole(tables: Tables) -> None:
    await tables.run(
        "CREATE TABLE {links}_all (list int, song int, PRIMARY KEY (list, song)) PARTITION BY LIST (list);"
        "CREATE TABLE {links}_3 PARTITION OF {links}_all FOR VALUES IN (3);"
        "CREATE TABLE {links}_rest PARTITION OF {links}_all DEFAULT; INSERT INTO {links}_all VALUES (3, 1), (4, 2)"
    )
    where = PLAYLIST.replace("{links}", "{links}_all")
    async with tables.follower(where) as follower:
        await follower.reaches(await tables.rows(where))
        await tables.run("UPDATE {links}_all SET list = 3 WHERE song = 2; DELETE FROM {links}_3 WHERE song = 1")
        await follower.reaches(await tables.rows(where))


async def test_a_locked_table_keeps_only_those_waiting_who_read_it(tables: Tables) -> None:
    async with tables.follower(PLAYLIST) as follower, tables.follower("album = 3") as plain:
        await follower.reaches(await tables.rows(PLAYLIST))
        await plain.reaches(await tables.rows("album = 3"))
        locking = await tables.library.connect()
        transaction = locking.transaction()
        await transaction.start()
        await locking.execute(tables.clause("LOCK TABLE {links} IN ACCESS EXCLUSIVE MODE"))
        await tables.run("INSERT INTO {songs} VALUES (70, 'song 70', 3)")
        await plain.reaches(await tables.rows("album = 3"))
        await transaction.rollback()
        await locking.close()
        await tables.run("INSERT INTO {links} VALUES (3, 70)")
        await follower.reaches(await tables.rows(PLAYLIST))
        assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]


async def test_shapes_are_opened_under_a_steady_load(tables: Tables) -> None:
    """As many at once as make sync's pool narrow, while a writer never rests."""
    done = asyncio.Event()

    async def write() -> None:
        connection, number = await tables.library.connect(), 0
        while not done.is_set():
            number += 1
            await connection.execute(tables.clause("INSERT INTO {links} VALUES ($1, $2)"), 1 + number % 6, 100 + number)
            await asyncio.sleep(0.002)
        await connection.close()

    writer = asyncio.create_task(write())
    wheres = [f"id IN (SELECT song FROM {{links}} WHERE list = {number})" for number in range(1, 13)]
    followers = [tables.follower(where) for where in wheres]

    async def up_to_date() -> bool:
        return all(follower.copy.up_to_date for follower in followers)

    await until(up_to_date, "every shape is there")
    done.set()
    await writer
    for where, follower in zip(wheres, followers, strict=True):
        async with follower:
            await follower.reaches(await tables.rows(where))


async def test_a_subset_is_of_the_rows_that_the_subquery_lets_in(tables: Tables) -> None:
    query = {"table": tables.songs, "where": tables.clause(PLAYLIST), "offset": "-1"}
    async with web.client(base_url=tables.library.api, timeout=60) as http:
        first = await http.get("/v1/shape", params=query)
        stream = {**query, "offset": first.headers["electric-offset"], "handle": first.headers["electric-handle"]}
        found = await http.post("/v1/shape", params=stream, json={"order_by": "id", "limit": 2})
        assert found.status_code == 200, found.text
        await tables.run("INSERT INTO {links} VALUES (3, 1)")
        again = await http.post("/v1/shape", params=stream, json={"order_by": "id", "limit": 2})
    assert [row["value"]["id"] for row in found.json()["data"]] == ["2", "8"]
    assert [row["value"]["id"] for row in again.json()["data"]] == ["1", "2"]
