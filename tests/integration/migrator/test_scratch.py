"""A scratch database is empty, in UTF-8, and gone afterwards, whatever happened in between."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from medley.runtime.errors import ConfigurationError
from services.migrator.scratch.database import scratch_database


@pytest_asyncio.fixture
async def server(postgres_server: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_server)
    yield connection
    await connection.close()


async def exists(server: asyncpg.Connection, dsn: str) -> bool:
    name = urlsplit(dsn).path.lstrip("/")
    return bool(await server.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name))


async def test_it_is_empty_and_gone_afterwards(postgres_server: str, server: asyncpg.Connection) -> None:
    async with scratch_database(postgres_server) as dsn:
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert (
            await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
        )
        assert await exists(server, dsn)
    # The session was still open: it is ended with the database.
    assert not await exists(server, dsn)
    connection.terminate()


async def test_an_error_inside_leaves_nothing(postgres_server: str, server: asyncpg.Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        async with scratch_database(postgres_server) as dsn:
            raise ZeroDivisionError
    assert not await exists(server, dsn)


async def test_being_cancelled_leaves_nothing(postgres_server: str, server: asyncpg.Connection) -> None:
    made: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def use() -> None:
        async with scratch_database(postgres_server) as dsn:
            made.set_result(dsn)
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    dsn = await made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not await exists(server, dsn)


async def test_the_query_of_the_address_is_kept(postgres_server: str) -> None:
    address = urlunsplit(urlsplit(postgres_server)._replace(query="sslmode=disable"))
    async with scratch_database(address) as dsn:
        assert urlsplit(dsn).query == "sslmode=disable"
        assert urlsplit(dsn).netloc == urlsplit(postgres_server).netloc
        await (await asyncpg.connect(dsn)).close()


async def test_what_a_killed_run_left_is_swept_after_an_hour(postgres_server: str, server: asyncpg.Connection) -> None:
    now = await server.fetchval("SELECT extract(epoch FROM now())::bigint")
    old, used, young = (f"medley_scratch_{now - age}_{secrets.token_hex(6)}" for age in (3700, 3700, 600))
    for name in (old, used, young):
        await server.execute(f"CREATE DATABASE {name}")
    user = await asyncpg.connect(postgres_server, database=used)
    try:
        async with scratch_database(postgres_server):
            left = {
                row["datname"]
                for row in await server.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'medley_scratch_%'")
            }
        assert not {old} & left
        assert {used, young} <= left
    finally:
        await user.close()
        for name in (old, used, young):
            await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def test_many_at_once_do_not_disturb_each_other(postgres_server: str) -> None:
    async def one(number: int) -> int:
        async with scratch_database(postgres_server) as dsn:
            connection = await asyncpg.connect(dsn)
            await connection.execute(f"CREATE TABLE t AS SELECT {number} AS n")
            n: int = await connection.fetchval("SELECT n FROM t")
            await connection.close()
            return n

    assert await asyncio.gather(*(one(number) for number in range(4))) == [0, 1, 2, 3]


async def test_a_role_that_may_not_make_databases_is_told_what_it_needs(
    postgres_server: str, server: asyncpg.Connection
) -> None:
    role, password = f"poor_{secrets.token_hex(4)}", secrets.token_hex(8)
    await server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    parts = urlsplit(postgres_server)
    address = urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{parts.netloc.rpartition('@')[2]}"))
    try:
        with pytest.raises(ConfigurationError, match=f"ALTER ROLE {role} CREATEDB"):
            async with scratch_database(address):
                pass
    finally:
        await server.execute(f"DROP ROLE {role}")
