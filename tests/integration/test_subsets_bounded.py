"""Subsets cost what they may: memory, locks, connections, time, rights."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest
import pytest_asyncio

from medley.runtime.postgres import SESSION, open_pool
from services.api.shape.asked import SubsetAsked
from services.api.shape.response import Response, Streamed
from services.api.shape.subset import Subsets
from tests.support.migrated import postgres_settings
from tests.support.subsets import body_of, record_of, refusal, rows

NOTES = """
CREATE TABLE notes (id int PRIMARY KEY, owner text);
INSERT INTO notes VALUES (1, 'ann'), (2, 'bob');
"""


@pytest_asyncio.fixture(scope="module")
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await open_pool(postgres_settings(postgres_dsn), "test")
    await opened.execute(NOTES)
    yield opened
    await opened.close()


@pytest.fixture
def subsets(pool: asyncpg.Pool) -> Subsets:
    return Subsets(pool)


@pytest_asyncio.fixture
async def connection(pool: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(postgres_dsn, server_settings=SESSION)
    yield opened
    await opened.close()


async def test_many_rows_pass_in_little_memory(subsets: Subsets, connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TABLE large (id int PRIMARY KEY, v text)")
    await connection.execute("INSERT INTO large SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n")
    record = await record_of(connection, "large")
    tracemalloc.start()
    try:
        answer = await subsets.answer(record, SubsetAsked("v = $1", ("x" * 100,)))
        assert isinstance(answer, Streamed)
        size = entries = 0
        async for block in answer.body:
            size += len(block)
            entries += block.count(b'"key":')
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 40_000_000
    assert abs(entries - 200_000) <= size // (256 * 1024)  # one may lie on the edge of two blocks
    assert peak < 20_000_000


async def test_a_slow_reader_holds_no_lock_and_no_connection(postgres_dsn: str, connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TABLE slow (id int PRIMARY KEY, v text)")
    await connection.execute("INSERT INTO slow SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n")
    record = await record_of(connection, "slow")
    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=1) as pool:
        subsets = Subsets(pool)
        bodies = [await subsets.answer(record, SubsetAsked("id > 0")) for _ in range(5)]
        await connection.execute("SET lock_timeout = '5s'; ALTER TABLE slow ADD w int")
        assert [len(orjson.loads(await body_of(body))["data"]) for body in bodies] == [5000] * 5


async def test_a_role_needs_little_and_a_clause_is_judged_once(
    postgres_dsn: str, connection: asyncpg.Connection
) -> None:
    name = urlsplit(postgres_dsn).path[1:]
    record = await record_of(connection, "notes")
    role = f"reader_{name}"
    await connection.execute(f"""
        CREATE ROLE {role} LOGIN PASSWORD 'secret';
        GRANT SELECT ON notes TO {role};
        CREATE FUNCTION forbidden(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
        REVOKE EXECUTE ON FUNCTION forbidden FROM public;
    """)
    try:
        async with asyncpg.create_pool(postgres_dsn, user=role, password="secret", min_size=1, max_size=4) as pool:
            subsets = Subsets(pool)
            assert len(await rows(subsets, record, "id = $1", "1")) == 1
            found = await refusal(subsets, record, "forbidden(id) = 1")
            assert found == {"where": ["permission denied for function forbidden(integer)"]}
            await connection.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM public')
            for number in ("1", "2"):  # judging needs a temporary table, and is not done again
                assert len(await rows(subsets, record, "id = $1", number)) == 1
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await subsets.answer(record, SubsetAsked("id > $1", ("1",)))
    finally:
        await connection.execute(f'GRANT TEMPORARY ON DATABASE "{name}" TO public')
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_many_ask_at_once(subsets: Subsets, connection: asyncpg.Connection) -> None:
    record = await record_of(connection, "notes")
    asked = [rows(subsets, record, f"id = $1 AND {number} = {number}", "1") for number in range(20)]
    assert [len(found) for found in await asyncio.gather(*asked)] == [1] * 20


async def test_what_takes_too_long_is_ended(pool: asyncpg.Pool, connection: asyncpg.Connection) -> None:
    record = await record_of(connection, "notes")
    await connection.execute("""
        CREATE FUNCTION endless(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN LOOP END LOOP; END'
    """)
    answer = await Subsets(pool, seconds=0.2).answer(record, SubsetAsked("endless(id)"))
    assert isinstance(answer, Response)
    said = orjson.loads(answer.body)["errors"]
    assert said == {"subset": ["takes too long: ask for less, or for what an index finds"]}
