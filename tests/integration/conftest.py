"""A session on the running library's database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from tests.support.library import Library


@pytest_asyncio.fixture
async def database(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await library.connect()
    yield connection
    await connection.close()
