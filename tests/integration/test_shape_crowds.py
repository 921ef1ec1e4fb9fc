"""Many readers at once: each gets all of it, and who is slow costs the others nothing."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest
import pytest_asyncio

from tests.support import web
from tests.support.library import Library, until

ROWS = 30_000  # of a kilobyte: three chunks of 10 MiB


@pytest_asyncio.fixture(scope="module")
async def table(library: Library) -> AsyncIterator[str]:
    connection = await library.connect()
    name = f"t_{secrets.token_hex(4)}"
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, title text)")
    await connection.execute(f"INSERT INTO {name} SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, {ROWS}) g")
    yield name
    await connection.close()


@pytest_asyncio.fixture
async def http(library: Library) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=100)
    async with web.client(base_url=library.api, timeout=60, limits=limits) as client:
        yield client


async def test_a_crowd_reads_a_large_chunk_whole(http: httpx.AsyncClient, table: str) -> None:
    answers = await asyncio.gather(*(http.get(f"/v1/shape?table={table}&offset=-1") for _ in range(60)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    ids = [int(message["value"]["id"]) for message in answers[0].json() if "key" in message]
    assert ids == list(range(1, len(ids) + 1))
    assert len(answers[0].content) >= 10 * 1024 * 1024


async def test_a_crowd_reads_a_large_log_whole(
    http: httpx.AsyncClient, database: asyncpg.Connection, table: str
) -> None:
    name = f"{table}_log"
    await database.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    handle = (await http.get(f"/v1/shape?table={name}&offset=-1")).headers["electric-handle"]
    await database.execute(f"INSERT INTO {name} SELECT * FROM {table}")
    query = f"/v1/shape?table={name}&offset=0_inf&handle={handle}"

    async def arrived() -> bool:
        return (await http.get(query)).headers["electric-has-data"] == "true"

    await until(arrived, "the transaction is in the log")
    answers = await asyncio.gather(*(http.get(query) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("live", ["", "&live=true&live_sse=true"])
async def test_readers_who_do_not_read_hold_one_body_together(
    library: Library, http: httpx.AsyncClient, table: str, live: str
) -> None:
    """A hundred of them: a body each would be a gigabyte."""
    first = await http.get(f"/v1/shape?table={table}&offset=-1")
    target = f"/v1/shape?table={table}&offset=0_0&handle={first.headers['electric-handle']}{live}"
    await http.get(target.removesuffix(live))
    process = psutil.Process(library.processes["api"].pid)
    before = process.memory_info().rss
    address = urlsplit(library.api)
    sockets = []
    for _ in range(100):
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect((address.hostname, address.port))
        made.sendall(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        made.setblocking(False)
        sockets.append(made)

    async def answered() -> bool:
        return all(_has_begun(made) for made in sockets)

    await until(answered, "everyone is being answered")
    assert process.memory_info().rss - before < 200 * 1024 * 1024
    assert (await http.get("/v1/health")).json() == {"status": "active"}
    for made in sockets:
        with closing(made):
            pass


def _has_begun(made: socket.socket) -> bool:
    try:
        return bool(made.recv(16, socket.MSG_PEEK))
    except BlockingIOError:
        return False
