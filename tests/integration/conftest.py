"""A session on the running library's database; and sync alone, with shapes as the bus has them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.support.library import Library
from tests.support.shapes import Shapes, connected, running_sync


@pytest_asyncio.fixture
async def database(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await library.connect()
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="module")
async def sync(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    """migrator and sync as processes, on the module's database and a bus with no streams."""
    logs = tmp_path_factory.mktemp("sync")
    quick = {"SYNC_RECONCILE_INTERVAL": "0.2", "SYNC_CLAUSE_SECONDS": "2"}
    async with running_sync(postgres_dsn, fresh_nats_url, logs, **quick) as running:
        yield running


@pytest_asyncio.fixture
async def shapes(sync: Library) -> AsyncIterator[Shapes]:
    """What `sync` writes, and a session on its database."""
    connection = await sync.connect()
    async with connected(sync.nats_url, connection) as found:
        yield found
    await connection.close()
