"""A client that follows a shape equals SELECT: snapshot, live changes, moves in and out, and many writers at once."""

import asyncio
import random
import secrets

import asyncpg
import pytest

from medley.client import Copy, follow
from tests.support.library import Follower, Library, rows_of


def a_name() -> str:
    return f"t_{secrets.token_hex(4)}"


async def test_rows_there_before_and_rows_that_come_after(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, title text, done boolean)")
    await database.execute(f"INSERT INTO {table} VALUES (1, 'one', true), (2, NULL, NULL)")
    async with Follower(library.api, table) as follower:
        await follower.reaches(await rows_of(database, table))
        await database.execute(f"INSERT INTO {table} VALUES (3, 'three', false)")
        await database.execute(f"UPDATE {table} SET title = 'two' WHERE id = 2")
        await database.execute(f"DELETE FROM {table} WHERE id = 1")
        await database.execute(f"UPDATE {table} SET id = 30 WHERE id = 3")
        await follower.reaches(await rows_of(database, table))


async def test_a_client_that_stopped_goes_on_where_it_was(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, n int)")
    await database.execute(f"INSERT INTO {table} VALUES (1, 0), (2, 0)")
    copy, place = Copy(), dict[str, str]()
    for n in range(3):
        copy.up_to_date = False
        async for messages in follow(library.api, table, place=place):
            copy.apply(messages)
            if copy.up_to_date and {row["n"] for row in copy.rows.values()} == {str(n)}:
                break
        await database.execute(f"UPDATE {table} SET n = n + 1")
    assert len(copy.rows) == 2
    assert copy.faults == [], "what it had did not come again"


@pytest.mark.parametrize(
    ("where", "params"),
    [
        ("owner = 'ann'", None),
        ("'ann' = owner AND (kind = 2)", None),
        ('"owner" = $1 and kind = $2', ["o'brien\\", "2"]),
        ("ok = true", None),
        ("price = 1.50", None),
        ("code = 'a  '", None),
        ("owner = 'ann' AND owner = 'bob'", None),
    ],
)
async def test_rows_move_in_and_out_of_a_clause(
    library: Library, database: asyncpg.Connection, where: str, params: list[str] | None
) -> None:
    table = a_name()
    await database.execute(
        f"CREATE TABLE {table} (id int PRIMARY KEY, owner text, kind int, ok bool, price numeric, code char(3))"
    )
    owners, prices, codes = ["ann", "bob", "o'brien\\", None], ["1.5", "1.500", "2", "NaN"], ["a", "b", None]
    chance = random.Random(7)  # noqa: S311

    def values() -> tuple[object, ...]:
        return (
            chance.choice(owners),
            chance.choice([1, 2, None]),
            chance.choice([True, False, None]),
            chance.choice(prices),
            chance.choice(codes),
        )

    for number in range(40):
        await database.execute(f"INSERT INTO {table} VALUES ($1, $2, $3, $4, $5::text::numeric, $6)", number, *values())
    literal = where
    for place, value in enumerate(params or (), 1):
        literal = literal.replace(f"${place}", "'" + value.replace("'", "''") + "'")
    async with Follower(library.api, table, where=where, params=params) as follower:
        await follower.reaches(await rows_of(database, table, literal))
        for _ in range(100):
            await database.execute(
                f"UPDATE {table} SET owner = $2, kind = $3, ok = $4, price = $5::text::numeric, code = $6"
                " WHERE id = $1",
                chance.randrange(40),
                *values(),
            )
        await follower.reaches(await rows_of(database, table, literal))


async def test_a_shape_opened_under_fire_loses_and_doubles_nothing(
    library: Library, database: asyncpg.Connection
) -> None:
    """Four writers never stop while shapes of their table are opened one after another."""
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, owner int, n int)")
    writing = True

    async def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        connection = await library.connect()
        try:
            while writing:
                async with connection.transaction():
                    for _ in range(chance.randrange(1, 4)):
                        await connection.execute(f"INSERT INTO {table} (owner, n) VALUES ($1, 0)", chance.randrange(3))
                    await connection.execute(
                        f"UPDATE {table} SET n = n + 1, owner = $1 WHERE id % 17 = $2",
                        chance.randrange(3),
                        chance.randrange(17),
                    )
                    await connection.execute(f"DELETE FROM {table} WHERE id % 23 = $1 AND n > 3", chance.randrange(23))
        except asyncpg.DeadlockDetectedError:
            await write(seed + 1)
        finally:
            await connection.close()

    writers = [asyncio.create_task(write(seed)) for seed in range(4)]
    followers: list[tuple[Follower, str]] = []
    for owner in range(3):
        followers.append((Follower(library.api, table, where=f"owner = {owner}"), f"owner = {owner}"))
        followers.append((Follower(library.api, table, columns=["id", "n"] if owner else None), "true"))
        await asyncio.sleep(0.3)  # let the writers write: what is tested is that nothing depends on when
    writing = False
    await asyncio.gather(*writers)
    for follower, where in followers:
        async with follower:
            rows = await rows_of(database, table, where)
            if follower.copy.rows and "owner" not in next(iter(follower.copy.rows.values())):
                rows = [{name: row[name] for name in ("id", "n")} for row in rows]
            await follower.reaches(rows)


async def test_a_table_made_a_second_ago(library: Library, database: asyncpg.Connection) -> None:
    await database.execute('CREATE SCHEMA IF NOT EXISTS "Odd Schema"')
    await database.execute('CREATE TABLE "Odd Schema"."A.table/with ""all"""("Id" int PRIMARY KEY, "größe" text)')
    await database.execute('INSERT INTO "Odd Schema"."A.table/with ""all""" VALUES (1, $1)', "ü/\"'\\\n\t")
    name = '"Odd Schema"."A.table/with ""all"""'
    async with Follower(library.api, name) as follower:
        await follower.reaches([{"Id": "1", "größe": "ü/\"'\\\n\t"}])
        assert list(follower.copy.rows) == ['"Odd Schema"."A..table//with "all""/"1"']
        await database.execute(f'UPDATE {name} SET "größe" = NULL')
        await follower.reaches([{"Id": "1", "größe": None}])


async def test_a_transaction_is_seen_whole(library: Library, database: asyncpg.Connection) -> None:
    """Larger than one message of CHANGES and of the log; every up-to-date stands at the end of a transaction."""
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, t int, filler text)")
    async with Follower(library.api, table) as follower:
        await follower.reaches([])
        for number in range(3):
            await database.execute(
                f"INSERT INTO {table} SELECT $1 * 5000 + g, $1, repeat('x', 400) FROM generate_series(0, 4999) g",
                number,
            )
        await follower.reaches(await rows_of(database, table))
        counts: dict[str, int] = {}
        for message in follower.messages:
            headers = message["headers"]
            assert isinstance(headers, dict)
            if headers.get("control") == "up-to-date":
                assert all(count == 5000 for count in counts.values()), counts
            elif "lsn" in headers:
                counts[headers["lsn"]] = counts.get(headers["lsn"], 0) + 1
                assert headers.get("last", False) is (counts[headers["lsn"]] == 5000)


async def test_truncate_makes_clients_fetch_again(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    await database.execute(f"INSERT INTO {table} SELECT generate_series(1, 10)")
    async with Follower(library.api, table) as follower, Follower(library.api, table, where="id = 3") as narrow:
        await follower.reaches(await rows_of(database, table))
        await narrow.reaches([{"id": "3"}])
        await database.execute(f"TRUNCATE {table}")
        await follower.reaches([])
        await narrow.reaches([])
        await database.execute(f"INSERT INTO {table} VALUES (3)")
        await follower.reaches([{"id": "3"}])
        await narrow.reaches([{"id": "3"}])


async def test_columns_and_tables_that_change_under_a_shape(library: Library, database: asyncpg.Connection) -> None:
    table = a_name()
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, a text)")
    await database.execute(f"INSERT INTO {table} VALUES (1, 'x')")
    async with Follower(library.api, table) as whole, Follower(library.api, table, columns=["id"]) as narrow:
        await whole.reaches([{"id": "1", "a": "x"}])
        await narrow.reaches([{"id": "1"}])
        await database.execute(f"ALTER TABLE {table} ADD COLUMN b int DEFAULT 7")
        await whole.reaches([{"id": "1", "a": "x", "b": "7"}])
        await database.execute(f"DROP TABLE {table}")
        await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, a text)")
        await database.execute(f"INSERT INTO {table} VALUES (2, 'y')")
        await whole.reaches([{"id": "2", "a": "y"}])
        await narrow.reaches([{"id": "2"}])
        refetches = [m for m in narrow.messages if m["headers"] == {"control": "must-refetch"}]
        assert len(refetches) == 1, "an added column is nothing to a shape that does not show it"
