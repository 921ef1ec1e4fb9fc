"""A running library for each module that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.support.library import Library, running_library


@pytest_asyncio.fixture(scope="module")
async def library(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    logs: Path = tmp_path_factory.mktemp("library")
    async with running_library(postgres_dsn, fresh_nats_url, logs) as running:
        yield running


@pytest_asyncio.fixture
async def database(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await library.connect()
    yield connection
    await connection.close()
