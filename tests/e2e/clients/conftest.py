"""What the tests of published clients share: the installed packages, one library for all of them, a connection."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.e2e.clients.programs import FOLDER
from tests.support import databases, npm
from tests.support.library import Library, running_library
from tests.support.servers import NotHere, nothing


@pytest_asyncio.fixture(scope="package")
async def node() -> str:
    """node, with the locked packages installed."""
    try:
        return await npm.install(FOLDER)
    except NotHere as error:
        nothing([str(error)])


@pytest_asyncio.fixture(scope="package")
async def library(
    postgres_server: str, nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    """One for all modules of the folder: each test makes tables of its own."""
    dsn = await databases.make_database(postgres_server)
    await databases.clear_bus(nats_url)
    logs: Path = tmp_path_factory.mktemp("library")
    async with running_library(dsn, nats_url, logs) as running:
        yield running
    await databases.clear_bus(nats_url)
    await databases.drop_database(dsn)


@pytest_asyncio.fixture
async def connection(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connected = await library.connect()
    yield connected
    await connected.close()


@pytest.fixture
def name() -> str:
    """A table's name that nobody else has."""
    return f"t_{secrets.token_hex(4)}"
