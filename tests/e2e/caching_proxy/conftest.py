"""A library with nginx in front of it, configured as we ship it. Short times, so that what is kept grows old."""

import secrets
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.e2e.caching_proxy.asking import Proxied
from tests.support.library import running_library
from tests.support.nginx import running_nginx
from tests.support.servers import NotHere, nothing

_SETTINGS = {
    "API_LONG_POLL_SECONDS": "4",
    "API_CACHE_MAX_AGE": "1",
    "API_CACHE_STALE_AGE": "60",
    "API_OPEN_SECONDS": "3",
}


@pytest_asyncio.fixture(scope="module")
async def proxied(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    async with running_library(postgres_dsn, fresh_nats_url, folder, **_SETTINGS) as library:
        try:
            async with running_nginx(library.api, folder / "nginx") as nginx:
                yield Proxied(library, nginx)
        except NotHere as error:
            nothing([str(error)])


@pytest_asyncio.fixture
async def database(proxied: Proxied) -> AsyncIterator[asyncpg.Connection]:
    connection = await proxied.library.connect()
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def http(proxied: Proxied) -> AsyncIterator[httpx.AsyncClient]:
    async with proxied.nginx.client() as client:
        yield client


@pytest_asyncio.fixture
async def table(database: asyncpg.Connection) -> str:
    """Fifty rows, each with the title `one`."""
    name = f"t_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {name} (id int8 PRIMARY KEY, title text NOT NULL)")
    await database.execute(f"INSERT INTO {name} SELECT number, 'one' FROM generate_series(1, 50) number")
    return name
