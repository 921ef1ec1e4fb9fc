"""Clients that follow shapes live, each on a connection of its own: long polls one after the other, or events.

They notice when bytes arrive, count the rows in them, and ask for what comes next, as a client does. Bodies are kept,
where that is wanted, and looked into afterwards.
"""

import asyncio
import re
import time
from collections import deque
from typing import cast

from tests.bench.wire import INSERT, Address, framed, parsed, shape_path

_ID, _AT = re.compile(rb'"id":"(\d+)"'), re.compile(rb'"at":"([0-9.]+)"')
_OPENING_AT_ONCE, _OPENING_SECONDS = 32, 120

__all__ = ["Followers", "shape_path"]


class _Follower(asyncio.Protocol):
    def __init__(self, all_: "Followers", path: bytes) -> None:
        self._all, self._path = all_, path
        self._buffer = bytearray()
        self.live = asyncio.get_running_loop().create_future()
        self._streams = self._is_live = False
        self.place = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._ask(b"&offset=-1")

    def connection_lost(self, reason: Exception | None) -> None:
        self._all.failed(f"{self._path.decode()}: the connection was closed ({reason})", self.live)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._buffer += data
        if self._streams:
            return self._took_events(now)
        if (frame := framed(self._buffer)) is not None:
            head, body = bytes(self._buffer[: frame[0]]), bytes(self._buffer[frame[0] + 4 : frame[1]])
            del self._buffer[:]
            self._answered(head, body, now)
        return None

    def _answered(self, head: bytes, body: bytes, now: float) -> None:
        known = parsed(head)
        if known.status != 200:
            return self._all.failed(f"{self._path.decode()}: {known.status} {body[:300]!r}", self.live)
        self.place = known.place
        following = known.next
        if known.up_to_date and self._all.events:
            self._streams = True
            following += b"&live_sse=true&experimental_live_sse=true"
        self._ask(following)
        rows = body.count(INSERT)
        if self._is_live:
            self._all.arrived(body, rows, now)
        else:
            self._all.before += rows
            if known.up_to_date:
                self._is_live = True
                self.live.set_result(None)
        return None

    def _took_events(self, now: float) -> None:
        """Whole lines; what a chunk of the transfer adds between them does no harm."""
        end = self._buffer.rfind(b"\n\n") + 2
        if end > 1:
            events = bytes(self._buffer[:end])
            self._all.arrived(events, events.count(INSERT), now)
            del self._buffer[:end]

    def _ask(self, following: bytes) -> None:
        self.transport.write(b"GET " + self._path + following + self._all.rest)


class Followers:
    """`before`: rows that were there when they had caught up. What comes later is counted as it arrives."""

    def __init__(self, url: str, paths: list[bytes], events: bool = False, keep: bool = False) -> None:
        self.address, self._paths, self.events, self._keep = Address.of(url), paths, events, keep
        self.rest = self.address.rest
        self.before = 0
        self._clock = time.time() - time.perf_counter()
        self._rows, self._times = 0, list[tuple[float, int]]()
        self._bodies = list[tuple[float, bytes]]()
        self._failure, self._ended = "", False
        self._changed = asyncio.Event()
        self._followers: deque[_Follower] = deque()

    async def live(self) -> int:
        """Connect all, and return when each waits for changes: how many rows they found."""
        waiting = iter(self._paths)

        async def next_ones() -> None:
            for path in waiting:
                _, follower = await asyncio.get_running_loop().create_connection(
                    lambda path=path: _Follower(self, path),  # type: ignore[misc]
                    *self.address,
                )
                self._followers.append(follower)
                await follower.live

        try:
            async with asyncio.timeout(_OPENING_SECONDS):
                await asyncio.gather(*(next_ones() for _ in range(_OPENING_AT_ONCE)))
        except TimeoutError:
            count = sum(follower.live.done() for follower in self._followers)
            said = f"{count:,} of {len(self._paths):,} clients had caught up after {_OPENING_SECONDS} s"
            raise RuntimeError(said) from None
        return self.before

    async def arrivals(self, rows: int, patience: float) -> list[tuple[float, int]]:
        """When, and how many each time, once so many have come since the last call. Clock: `time.perf_counter`."""
        try:
            async with asyncio.timeout(patience):
                while self._rows < rows and not self._failure:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._failure = f"{self._rows:,} of {rows:,} rows had come after {patience:g} s"
        if self._failure:
            raise RuntimeError(self._failure)
        if self._rows > rows:
            raise RuntimeError(f"{self._rows} rows came where {rows} were written")
        times, self._times, self._rows = self._times, [], 0
        return times

    def place(self) -> bytes:
        """Where the first of them stands: the parameters of a read there that is not live."""
        return self._followers[0].place

    def delays(self) -> list[float]:
        """For each row kept: seconds from the time that it carries in its column `at` until it was here."""
        return [now + self._clock - float(at) for now, body in self._bodies for at in _AT.findall(body)]

    def distinct(self) -> tuple[int, int]:
        """Rows kept, and how many different ones."""
        ids = [one for _, body in self._bodies for one in _ID.findall(body)]
        return len(ids), len(set(ids))

    def last(self, offset: float = 0.0) -> float:
        """When the last row kept arrived, by the wall clock."""
        return self._bodies[-1][0] + self._clock + offset

    def close(self) -> None:
        self._ended = True
        for follower in self._followers:
            follower.transport.abort()

    def arrived(self, body: bytes, rows: int, now: float) -> None:
        if rows:
            self._rows += rows
            self._times.append((now, rows))
            if self._keep:
                self._bodies.append((now, body))
            self._changed.set()

    def failed(self, why: str, live: "asyncio.Future[None]") -> None:
        if self._ended:
            return
        self._failure = self._failure or why
        self._changed.set()
        if not live.done():
            live.set_exception(RuntimeError(why))
