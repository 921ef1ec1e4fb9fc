"""Shapes whose clause has a subquery follow the tables that it reads: rows move in and out as inserts and deletes."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import pytest

from tests.support.library import Follower, Library, rows_of, until


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
