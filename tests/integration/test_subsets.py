"""Subset snapshots: what is answered, what is refused, and what no request can reach."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest
import pytest_asyncio

from medley.runtime.postgres import open_pool
from medley.sql.visibility import Snapshot
from services.api.shape.asked import SubsetAsked
from services.api.shape.subset import Subsets
from services.api.shape.tail import Gone
from tests.support.migrated import postgres_settings
from tests.support.subsets import body_of, record_of, refusal, rows

ISSUES = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE issues (id int PRIMARY KEY, owner text NOT NULL, title text, mood mood, secret text);
INSERT INTO issues SELECT n, CASE WHEN n % 2 = 0 THEN 'ann' ELSE 'bob' END, 'title ' || n, 'ok', 'secret ' || n
FROM generate_series(1, 10) n;
"""
SHOWN = ("id", "owner", "title", "mood")
ANNS = (("owner", "text", "ann"),)


@pytest_asyncio.fixture(scope="module")
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await open_pool(postgres_settings(postgres_dsn), "test")
    await opened.execute(ISSUES)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def subsets(pool: asyncpg.Pool) -> Subsets:
    return Subsets(pool)


@pytest_asyncio.fixture
async def connection(pool: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(postgres_dsn)
    yield opened
    await opened.close()


async def test_a_body_is_as_the_protocol_says(subsets: Subsets, connection: asyncpg.Connection) -> None:
    record = await record_of(connection, "issues", ANNS, columns=SHOWN)
    body = orjson.loads(await body_of(await subsets.answer(record, SubsetAsked("id < $1", ("3",)))))
    described = body["metadata"]
    assert set(described) == {"xmin", "xmax", "xip_list", "snapshot_mark", "database_lsn"}
    assert int(described["xmin"]) <= int(described["xmax"])
    assert 0 <= described["snapshot_mark"] < 2**31
    assert body["data"] == [
        {
            "key": '"public"."issues"/"2"',
            "value": {"id": "2", "owner": "ann", "title": "title 2", "mood": "ok"},
            "headers": {
                "operation": "insert",
                "relation": ["public", "issues"],
                "snapshot_mark": described["snapshot_mark"],
            },
        }
    ]


async def test_without_anything_it_is_the_whole_shape(subsets: Subsets, connection: asyncpg.Connection) -> None:
    assert len(await rows(subsets, await record_of(connection, "issues"))) == 10
    assert len(await rows(subsets, await record_of(connection, "issues", ANNS))) == 5
    assert await rows(subsets, await record_of(connection, "issues", ANNS), "id = 1") == []


async def test_a_shape_whose_clause_has_no_conditions_is_still_its_rows(
    subsets: Subsets, connection: asyncpg.Connection
) -> None:
    record = await record_of(connection, "issues", where="owner = $1", params=("ann",))
    assert {row["owner"] for row in await rows(subsets, record, "id > 0")} == {"ann"}
    assert len(await rows(subsets, await record_of(connection, "issues", where="true = true"), "id > $1", "8")) == 2


async def test_pages(subsets: Subsets, connection: asyncpg.Connection) -> None:
    record = await record_of(connection, "issues", ANNS)

    async def ids(**asked: object) -> list[int]:
        return [int(row["id"]) for row in await rows(subsets, record, **asked)]  # type: ignore[arg-type]

    assert await ids(order_by="id DESC", limit=2) == [10, 8]
    assert await ids(order_by='issues."id"', limit=2, offset=3) == [8, 10]
    assert await ids(order_by="1, mood, id ASC NULLS LAST", offset=4) == [10]
    assert await ids(order_by="'x'") == [2, 4, 6, 8, 10]


async def test_what_is_refused_says_where(subsets: Subsets, connection: asyncpg.Connection) -> None:
    record = await record_of(connection, "issues", ANNS, columns=SHOWN)
    for _ in range(2):  # judged, and known
        assert await rows(subsets, record, "id = $1", "2") != []
        assert await refusal(subsets, record, "id = $1", "x") == {
            "where": ['At location 5: invalid input syntax for type integer: "x"']
        }
        assert await rows(subsets, record, "mood = $1", "sad") == []
        assert await refusal(subsets, record, "mood = $1", "glad") == {
            "where": ['At location 7: invalid input value for enum mood: "glad"']
        }
        assert await refusal(subsets, record, "id = $2", "x") == {
            "params": ["At location 5: parameter $2 was not provided"]
        }
        assert await refusal(subsets, record, "id") == {"where": ["WHERE clause must return a boolean"]}
        assert await refusal(subsets, record, "id / 0 = 1") == {"where": ["division by zero"]}
        assert await refusal(subsets, record, order_by="nope") == {
            "order_by": ["At location 0: unknown reference nope"]
        }
        assert await refusal(subsets, record, limit=1) == {
            "order_by": ["order_by is required when limit or offset is present"]
        }
        assert await refusal(subsets, record, order_by="id", limit=0) == {"limit": ["must be greater than 0"]}
        assert "limit" in await refusal(subsets, record, order_by="id", limit=2**63)


async def test_a_column_that_cannot_be_sorted_is_refused(subsets: Subsets, connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TABLE unsorted (id int PRIMARY KEY, j json)")
    record = await record_of(connection, "unsorted")
    for where in (None, "id = 1"):
        found = await refusal(subsets, record, where, order_by="j")
        assert found == {"order_by": ["could not identify an ordering operator for type json"]}


async def test_an_error_of_the_last_row_is_an_answer_with_a_status(
    subsets: Subsets, connection: asyncpg.Connection
) -> None:
    await connection.execute("CREATE TABLE late (id int PRIMARY KEY)")
    await connection.execute("INSERT INTO late SELECT generate_series(1, 30000)")
    record = await record_of(connection, "late")
    assert await refusal(subsets, record, "1 / (id - 30000) < 1") == {"where": ["division by zero"]}


async def test_a_table_that_is_another_is_gone(subsets: Subsets, connection: asyncpg.Connection) -> None:
    async def record_after(*statements: str) -> None:
        await connection.execute("CREATE TABLE moving (id int PRIMARY KEY, v varchar(5))")
        record = await record_of(connection, "moving")
        assert await rows(subsets, record, "v = 'x'") == []
        for statement in statements:
            await connection.execute(statement)
        with pytest.raises(Gone):
            await subsets.answer(record, SubsetAsked("v = 'x'"))
        await connection.execute("DROP TABLE IF EXISTS moving, moved CASCADE; DROP VIEW IF EXISTS moving")

    await record_after("DROP TABLE moving")
    await record_after("DROP TABLE moving", "CREATE TABLE moving (id int PRIMARY KEY, v varchar(5))")
    await record_after("ALTER TABLE moving RENAME TO moved")
    await record_after("ALTER TABLE moving RENAME TO moved", "CREATE TABLE moving (id int PRIMARY KEY, v varchar(5))")
    await record_after("ALTER TABLE moving ALTER v TYPE varchar(6)")
    await record_after("ALTER TABLE moving DROP v")
    await record_after("ALTER TABLE moving RENAME v TO w")


async def test_the_metadata_says_what_was_seen(
    subsets: Subsets, connection: asyncpg.Connection, pool: asyncpg.Pool
) -> None:
    """A row is there exactly if its transaction is visible; and every visible one is before `database_lsn`."""
    await connection.execute("CREATE TABLE seen (xid bigint PRIMARY KEY, lsn pg_lsn)")
    record = await record_of(connection, "seen")
    writing = asyncio.Event()

    async def write() -> None:
        async with pool.acquire() as writer:
            while not writing.is_set():
                async with writer.transaction():
                    await writer.execute("INSERT INTO seen VALUES (txid_current(), pg_current_wal_insert_lsn())")

    writers = [asyncio.create_task(write()) for _ in range(3)]
    try:
        for _ in range(60):
            body = orjson.loads(await body_of(await subsets.answer(record, SubsetAsked("xid > $1", ("0",)))))
            described = body["metadata"]
            running = ",".join(described["xip_list"])
            snapshot = Snapshot.parse(f"{described['xmin']}:{described['xmax']}:{running}")
            found = {int(item["value"]["xid"]) for item in body["data"]}
            assert all(snapshot.sees(xid) for xid in found)
            everyone = {row["xid"] for row in await connection.fetch("SELECT xid FROM seen")}
            assert {xid for xid in everyone if snapshot.sees(xid)} == found
            written = [
                row["lsn"]
                for row in await connection.fetch(
                    "SELECT lsn - '0/0' AS lsn FROM seen WHERE xid = ANY ($1)", list(found)
                )
            ]
            assert all(lsn <= int(described["database_lsn"]) for lsn in written)
    finally:
        writing.set()
        await asyncio.gather(*writers)
    assert len(everyone) > 60
