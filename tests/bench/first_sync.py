"""First sync: a table that nobody has asked for, and the same again; beside a COPY that makes the same JSON."""

import asyncio
import math
import re
import socket
import time
from typing import NamedTuple

import asyncpg

from medley.cli.embedded.wheels import postgres_bin
from tests.bench.bare import Bare
from tests.bench.frame import Goal, Line, Sample, Used, Wrong
from tests.bench.stage import Stage, services
from tests.bench.wire import INSERT, Address, parsed, shape_path

_PIECE = 1024 * 1024
_CHUNK = 10 * _PIECE  # how much the server puts into one answer
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ROW = """'{"key":"\\"public\\".\\"TABLE\\"/\\"' || id || '\\"","value":{"id":"' || id
 || '","playlist_id":"' || playlist_id || '","title":' || to_json(title)::text
 || ',"filler":' || to_json(filler)::text || ',"at":"' || at
 || '"},"headers":{"operation":"insert","relation":["public","TABLE"]}}'"""


class Read(NamedTuple):
    """A whole first sync at a client."""

    rows: int
    seconds: float
    first_byte: float
    bytes: int


class Download:
    """Reads a shape to its end over one connection, and counts rows as they pass; it keeps nothing."""

    def __init__(self, url: str, table: str) -> None:
        self._address, self._path = Address.of(url), shape_path(table)

    def read(self) -> Read:
        rows, length, following, first = 0, 0, b"&offset=-1", 0.0
        started = time.perf_counter()
        with socket.create_connection(self._address) as connection:
            up_to_date = False
            while not up_to_date:
                connection.sendall(self._address.request(self._path + following))
                head, count, at, size = _answer(connection)
                first = first or at
                known = parsed(head)
                if known.status != 200:
                    raise RuntimeError(f"{known.status} for {self._path + following!r}")
                rows, up_to_date, following = rows + count, known.up_to_date, known.place
                length += size
        return Read(rows, time.perf_counter() - started, first - started, length)

    def again(self, times: int) -> float:
        """The first answer, so many times: seconds."""
        started = time.perf_counter()
        with socket.create_connection(self._address) as connection:
            for _ in range(times):
                connection.sendall(self._address.request(self._path + b"&offset=-1"))
                _answer(connection)
        return time.perf_counter() - started


def _answer(connection: socket.socket) -> tuple[bytes, int, float, int]:
    """The head, the rows in the body, when its first byte came, and how many bytes it had."""
    data = bytearray(connection.recv(_PIECE))
    first = time.perf_counter()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _received(connection)
    head, tail = bytes(data[:end]), bytes(data[end + 4 :])
    found = _LENGTH.search(head)
    rows, size = tail.count(INSERT), len(tail)
    while size < int(found[1]) if found else not tail.endswith(b"0\r\n\r\n"):
        piece = _received(connection)
        size += len(piece)
        tail = tail[-len(INSERT) + 1 :] + piece
        rows += tail.count(INSERT)
    return head, rows, first, size


def _received(connection: socket.socket) -> bytes:
    if not (data := connection.recv(_PIECE)):
        raise RuntimeError("the connection was closed within an answer")
    return data


async def _filled(session: asyncpg.Connection, table: str, rows: int) -> None:
    """About 200 bytes a row, of which half is text."""
    await session.execute(
        f"INSERT INTO {table} (title, filler)"
        f" SELECT 'a title ' || g, repeat('x', 140) FROM generate_series(1, {rows}) g"
    )
    await session.execute(f"ANALYZE {table}")


async def cold_and_warm(stage: Stage, rows: int) -> Sample:
    """CPU and memory are those of the cold one."""
    async with stage.table() as (table, session):
        await _filled(session, table, rows)
        await session.execute("CHECKPOINT")
        await stage.quiet(20)
        async with stage.client(Download, stage.api, table) as client:
            with stage.metered() as used:
                cold: Read = await client.ask("read")
            await stage.quiet(5)
            warm: Read = await client.ask("read")
        if (cold.rows, warm.rows) != (rows, rows):
            raise Wrong(f"{rows} rows are there, and the client read {cold.rows} and {warm.rows}")
        stage.kept[f"bytes of {rows} rows"] = warm.bytes
        return Sample(_figures(cold, warm, used()), rows, used())


def _figures(cold: Read, warm: Read, used: Used) -> dict[str, float]:
    figures = {
        "cold rows/s": cold.rows / cold.seconds,
        "warm rows/s": warm.rows / warm.seconds,
        "first byte ms": cold.first_byte * 1000,
    }
    if used.rss:
        figures["MB at most"] = sum(services(used.rss).values()) / 1e6
    return figures


async def bare(stage: Stage, rows: int) -> Sample:
    """Cold: COPY by psql, into nothing. Warm: a program that answers with as many ready bytes."""
    async with stage.table(stage.bare) as (table, session):
        await _filled(session, table, rows)
        await session.execute("CHECKPOINT")
        copied = await _psql(stage.bare, f"COPY (SELECT {_ROW.replace('TABLE', table)} FROM {table}) TO STDOUT")
    size = stage.kept.get(f"bytes of {rows} rows", rows * 350)
    return Sample({"cold rows/s": rows / copied, "warm rows/s": rows / await _ready_bytes(stage, size)}, rows)


async def _ready_bytes(stage: Stage, size: int) -> float:
    """Seconds that so many take from a program that has them, in answers as large as ours."""
    answers = math.ceil(size / _CHUNK)
    async with stage.client(Bare, size // answers) as server:
        url = await server.ask("listen")
        async with stage.client(Download, url, "bench") as client:
            return float(await client.ask("again", answers))


async def _psql(dsn: str, query: str) -> float:
    """Seconds that it took, its start included."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(postgres_bin() / "psql", dsn, "-q", "-X", "-v", "ON_ERROR_STOP=1", "-c", query),
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    if status := await process.wait():
        raise RuntimeError(f"psql ended with {status}")
    return time.perf_counter() - started


LINES = [
    Line(
        *("first_sync", "first sync of rows of 200 bytes", "rows", (10_000, 100_000, 1_000_000), (10_000,)),
        *(cold_and_warm, bare),
        limited_by="cold: COPY of the same JSON by psql from a Postgres of the same settings; warm: ready bytes",
        goals=(
            Goal("cold rows/s", ">=", 200_000, (100_000, 1_000_000), peer="113,000-128,000"),
            Goal("cold rows/s", ">=", 0.6, (100_000, 1_000_000), of="limit"),
            Goal("warm rows/s", ">=", 700_000, (100_000, 1_000_000), peer="329,000-364,000"),
            Goal("first byte ms", "<=", 15, (100_000, 1_000_000), peer="22-26"),
            Goal("MB at most", "<=", 1.3, (1_000_000,), of=100_000),
        ),
        once=1_000_000,
    ),
]
