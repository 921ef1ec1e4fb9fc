"""Shapes have a budget on disk: beyond it, what nobody has read for the longest time goes, and what is read stays."""

import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.support.library import Follower, Library, rows_of, running_library, until
from tests.support.shapes import connected

SHORT = {"SYNC_SHAPES_BYTES": "1500000", "SYNC_IDLE_SECONDS": "5", "SYNC_RENEWAL_INTERVAL": "0.5"}


@pytest_asyncio.fixture(scope="module")
async def library(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    async with running_library(postgres_dsn, fresh_nats_url, tmp_path_factory.mktemp("library"), **SHORT) as running:
        yield running


async def test_what_nobody_reads_goes_when_room_is_short(library: Library, database: asyncpg.Connection) -> None:
    table = f"t_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, kind int, text text)")
    await database.execute(f"INSERT INTO {table} SELECT g, g % 3, repeat('t', 10000) FROM generate_series(1, 90) g")
    async with (
        Follower(library.api, table, where="kind = 0") as reader,
        connected(library.nats_url, database) as shapes,
    ):
        await reader.reaches(await rows_of(database, table, "kind = 0"))
        read = (await shapes.open(table, where="kind = 0")).record.handle
        first = (await shapes.open(table, where="kind >= 0")).record.handle
        second = (await shapes.open(table)).record.handle

        async def gone() -> bool:
            return not await shapes.is_open(first)

        await until(gone, "the one that has not been read for longest goes")
        assert await shapes.is_open(second), "the rest has room"
        assert await shapes.is_open(read)
        await database.execute(f"UPDATE {table} SET text = 'short' WHERE id = 3")
        await reader.reaches(await rows_of(database, table, "kind = 0"))
        assert not any(message["headers"].get("control") == "must-refetch" for message in reader.messages)
