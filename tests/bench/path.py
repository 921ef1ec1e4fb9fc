"""The lines of the bench: each measures one thing once, and returns its figures by name."""

import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

import asyncpg
import orjson

from medley.cli.embedded.wheels import postgres_bin
from tests.support.library import Library

Line = Callable[[Library], Awaitable[dict[str, float]]]


class LiveClient:
    """A client with little in it: HTTP/1.1 long polls on one socket, timed as the bytes arrive.

    A general HTTP client would cost about as much as what is measured.
    """

    def __init__(self, api: str, table: str) -> None:
        self._address = urlsplit(api)
        self._query = {"table": table, "offset": "-1"}
        self.ids: list[str] = []
        self.times: list[float] = []
        self._new = asyncio.Event()

    async def run(self, ready: asyncio.Event) -> None:
        host, port = self._address.hostname or "", self._address.port or 80
        reader, writer = await asyncio.open_connection(host, port, limit=64 * 1024)
        try:
            while True:
                writer.write(f"GET /v1/shape?{urlencode(self._query)} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
                headers, body = await _response(reader)
                self._take(headers, body, time.perf_counter())
                if "electric-up-to-date" in headers:
                    self._query["live"] = "true"
                    ready.set()
        finally:
            writer.close()

    def _take(self, headers: dict[str, str], body: bytes, now: float) -> None:
        self._query["offset"] = headers["electric-offset"]
        self._query["handle"] = headers["electric-handle"]
        if "electric-cursor" in headers:
            self._query["cursor"] = headers["electric-cursor"]
        for message in orjson.loads(body):
            if "value" in message:
                self.ids.append(message["value"]["id"])
                self.times.append(now)
        self._new.set()

    async def has(self, count: int) -> None:
        while len(self.ids) < count:
            self._new.clear()
            await self._new.wait()


async def _response(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    assert " 200 " in status, (status, body)
    return headers, body


@asynccontextmanager
async def following(library: Library) -> AsyncIterator[tuple[LiveClient, asyncpg.Connection, str]]:
    """A new table, a writer's session, and a live client that has caught up."""
    table = f"bench_{secrets.token_hex(4)}"
    connection = await library.connect()
    await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, title text, filler text)")
    client = LiveClient(library.api, table)
    ready = asyncio.Event()
    task = asyncio.create_task(client.run(ready))
    await ready.wait()
    try:
        yield client, connection, table
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.execute(f"DROP TABLE {table}")
        await connection.close()


async def latency(library: Library) -> dict[str, float]:
    """Quiet machine, one live client: from the insert's sending to its row's arrival."""
    async with following(library) as (client, connection, table):
        insert = await connection.prepare(f"INSERT INTO {table} VALUES ($1, 'a title', repeat('x', 150))")
        sent = []
        for number in range(320):
            sent.append(time.perf_counter())
            await insert.fetch(number)
            await client.has(number + 1)
            await asyncio.sleep(0.01)
        waited = sorted((arrived - start) * 1000 for arrived, start in zip(client.times[20:], sent[20:], strict=True))
        return {
            "p50 ms": statistics.median(waited),
            "p90 ms": waited[int(len(waited) * 0.9)],
            "p99 ms": waited[int(len(waited) * 0.99)],
        }


async def burst(library: Library) -> dict[str, float]:
    """10,000 single-row inserts as fast as one session sends them; the client has all, in order."""
    count = 10_000
    async with following(library) as (client, _, table):
        script = "".join(f"INSERT INTO {table} VALUES ({n}, 'a title', repeat('x', 150));\n" for n in range(count))
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            postgres_bin() / "psql", library.dsn, "-q", "-X", "-f", "-", stdin=asyncio.subprocess.PIPE
        )
        await process.communicate(script.encode())
        written = time.perf_counter()
        await client.has(count)
        arrived = time.perf_counter()
        assert client.ids == [str(n) for n in range(count)], "lost, doubled or out of order"
        return {
            "inserts/s": count / (written - started),
            "ratio (client has all / inserts took)": (arrived - started) / (written - started),
        }


async def batches(library: Library) -> dict[str, float]:
    """300 transactions of 100 rows."""
    async with following(library) as (client, connection, table):
        started = time.perf_counter()
        for number in range(300):
            await connection.execute(
                f"INSERT INTO {table} SELECT $1 * 100 + g, 'a title', repeat('x', 150) FROM generate_series(0, 99) g",
                number,
            )
        await client.has(30_000)
        return {"rows/s at the client": 30_000 / (time.perf_counter() - started)}


async def one_large(library: Library) -> dict[str, float]:
    """One transaction of 20,000 rows."""
    async with following(library) as (client, connection, table):
        started = time.perf_counter()
        await connection.execute(
            f"INSERT INTO {table} SELECT g, 'a title', repeat('x', 150) FROM generate_series(0, 19999) g"
        )
        await client.has(20_000)
        return {"rows/s at the client": 20_000 / (time.perf_counter() - started)}


async def first_sync(library: Library) -> dict[str, float]:
    """A table of 100,000 rows, never asked for before, and again."""
    table = f"bench_{secrets.token_hex(4)}"
    connection = await library.connect()
    await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, title text, filler text)")
    await connection.execute(
        f"INSERT INTO {table} SELECT g, 'a title', repeat('x', 150) FROM generate_series(1, 100000) g"
    )
    figures = {}
    for name in ("cold", "warm"):
        started = time.perf_counter()
        client = LiveClient(library.api, table)
        ready = asyncio.Event()
        task = asyncio.create_task(client.run(ready))
        await ready.wait()
        figures[f"{name} rows/s"] = 100_000 / (time.perf_counter() - started)
        assert len(client.ids) == 100_000
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await connection.execute(f"DROP TABLE {table}")
    await connection.close()
    return figures


LINES: list[tuple[str, Line]] = [
    ("insert sent to row received, 1 live client", latency),
    ("10,000 single-row inserts by psql", burst),
    ("transactions of 100 rows", batches),
    ("one transaction of 20,000 rows", one_large),
    ("first sync of 100,000 rows", first_sync),
]
