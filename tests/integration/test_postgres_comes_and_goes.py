"""A Postgres that goes away while somebody connects is one that is not there yet, and no reason to give up."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from medley.runtime.errors import Unavailable
from medley.runtime.postgres import open_pool
from medley.runtime.settings import PostgresSettings


class Door:
    """In front of a server. It shuts on so many connections, in the middle of what they say to each other."""

    def __init__(self, dsn: str) -> None:
        self._to = urlsplit(dsn)
        self.shuts = 0
        self.came = 0

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._come, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return self._to._replace(netloc=f"{self._to.username}:{self._to.password}@127.0.0.1:{port}").geturl()

    async def close(self) -> None:
        self._server.close()

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        inner, outer = await asyncio.open_connection(self._to.hostname, self._to.port)
        if self.came > self.shuts:
            await asyncio.gather(_pass(reader, outer), _pass(inner, writer))
        for _ in range(self.came % 3):  # what is asked, and what is said to it
            outer.write(await reader.read(4096))
            writer.write(await inner.read(4096))
            await writer.drain()
        outer.close()
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.fixture
async def door(postgres_dsn: str) -> AsyncIterator[Door]:
    made = Door(postgres_dsn)
    yield made
    await made.close()


async def test_it_is_waited_for(door: Door) -> None:
    door.shuts = 3
    settings = PostgresSettings(dsn=SecretStr(await door.open()), wait_seconds=20)
    pool = await open_pool(settings, "test")
    assert await pool.fetchval("SELECT 1") == 1
    assert door.came > door.shuts
    await pool.close()


async def test_not_for_ever(door: Door) -> None:
    door.shuts = 1_000_000
    settings = PostgresSettings(dsn=SecretStr(await door.open()), wait_seconds=0.5)
    with pytest.raises(Unavailable):
        await open_pool(settings, "test")
