"""Requests: how many reads of a shape are answered in a second, over a few connections that ask again at once."""

import asyncio
import time
from typing import cast

from tests.bench.bare import Bare
from tests.bench.followers import Followers
from tests.bench.frame import Goal, Line, Sample
from tests.bench.stage import Stage
from tests.bench.wire import Address, framed, shape_path
from tests.bench.writing import FILLER

_SECONDS, _WARMING = 2.5, 0.5
_FINE = b"HTTP/1.1 200"


class _Asking(asyncio.Protocol):
    def __init__(self, loop: "Closed", request: bytes) -> None:
        self._loop, self._request = loop, request
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if len(data) == self._loop.whole and data.startswith(_FINE) and not self._buffer:
            self._loop.answers += 1  # as long as the one before, in one piece: that is an answer
            self.transport.write(self._request)
            return
        self._buffer += data
        if (frame := framed(self._buffer)) is None:
            return
        if not self._buffer.startswith(_FINE):
            self._loop.wrong = self._loop.wrong or bytes(self._buffer[:300])
        self._loop.answers += 1
        self._loop.whole = frame[1]
        self._loop.bytes = frame[1] - frame[0] - 4
        del self._buffer[:]
        self.transport.write(self._request)


class Closed:
    """A closed loop: each connection has one request under way, always the same."""

    def __init__(self, url: str, path: bytes, connections: int) -> None:
        self._address, self._connections = Address.of(url), connections
        self._request = self._address.request(path)
        self.answers = self.bytes = self.whole = 0
        self.wrong = b""
        self._asking: list[asyncio.Transport] = []

    async def connect(self) -> int:
        """They ask from now on. The size of an answer's body, once there was one."""
        loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            made, _ = await loop.create_connection(lambda: _Asking(self, self._request), *self._address)
            self._asking.append(made)
        await asyncio.sleep(_WARMING)
        return self.bytes

    async def count(self, seconds: float) -> tuple[int, float]:
        """Answers within about so many seconds, and the time it took."""
        before, started = self.answers, time.perf_counter()
        await asyncio.sleep(seconds)
        if self.wrong:
            raise RuntimeError(f"an answer was not 200: {self.wrong!r}")
        return self.answers - before, time.perf_counter() - started

    def close(self) -> None:
        for transport in self._asking:
            transport.abort()


async def _rate(stage: Stage, url: str, path: bytes, connections: int) -> tuple[Sample, int]:
    async with stage.client(Closed, url, path, connections) as client:
        size = await client.ask("connect")
        with stage.metered() as used:
            answers, seconds = await client.ask("count", _SECONDS)
        client_cpu = used().client
        await client.ask("close")
    figures = {"requests/s": answers / seconds, "client's us of CPU each": client_cpu / max(answers, 1) * 1e6}
    return Sample(figures, answers, used()), size


async def _measured(stage: Stage, kind: str, connections: int, rows: int) -> Sample:
    async with stage.table() as (table, session):
        await session.execute(
            f"INSERT INTO {table} (title, filler) SELECT 'a title', '{FILLER}' FROM generate_series(1, {rows})"
        )
        async with stage.client(Followers, stage.api, [shape_path(table)]) as client:
            await client.ask("live")
            following = await client.ask("place")
            await client.ask("close")
        await stage.quiet(10)
        path = shape_path(table) + (following if kind == "tail" else b"&offset=-1")
        sample, stage.kept[f"bytes of {kind}"] = await _rate(stage, stage.api, path, connections)
        return sample


async def _bare(stage: Stage, kind: str, connections: int) -> Sample:
    """Bodies as large as those that were answered before."""
    async with stage.client(Bare, stage.kept.get(f"bytes of {kind}", 0)) as server:
        url = await server.ask("listen")
        sample, _ = await _rate(stage, url, shape_path("bench") + b"&offset=-1", connections)
        return Sample(sample.figures, sample.operations)


async def tail(stage: Stage, connections: int) -> Sample:
    return await _measured(stage, "tail", connections, 10)


async def snapshot(stage: Stage, connections: int) -> Sample:
    return await _measured(stage, "snapshot", connections, 100)


async def bare_tail(stage: Stage, connections: int) -> Sample:
    return await _bare(stage, "tail", connections)


async def bare_snapshot(stage: Stage, connections: int) -> Sample:
    return await _bare(stage, "snapshot", connections)


_LIMIT = "a program that answers each with ready bytes, as many of them"


_SIZES = ("connections", (1, 8, 32, 128), (1, 32))
LINES = [
    Line(
        *("requests", "tail: an offset with nothing behind it", *_SIZES, tail, bare_tail, _LIMIT),
        goals=(Goal("requests/s", ">=", 15_000, (32,), peer="3,000-3,500"),),
        operation="request",
    ),
    Line(
        *("requests", "snapshot of 100 rows", *_SIZES, snapshot, bare_snapshot, _LIMIT),
        goals=(Goal("requests/s", ">=", 8000, (32,), peer="1,400"),),
        operation="request",
    ),
]
