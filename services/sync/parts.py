"""Cut a snapshot into parts and chunks, and publish them in order.

A *part* is one message of `shapes.<handle>.snapshot`; a *chunk* is what one response of the API holds: one part or
more, never half a one. The row that makes a chunk `chunk_bytes` large closes it: equal rows are cut in the same places.
Chunks count from 0 without a gap; `snapshot-end` is the last thing in the last one.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.api import PubAck

from medley.contracts import headers, subjects

PART_BYTES = 256 * 1024
_WINDOW_BYTES = 4 * 1024 * 1024  # on their way to JetStream at once; small parts are limited by their number
_WINDOW_PARTS = 512


class Part(NamedTuple):
    number: int
    chunk: int
    final: bool
    payload: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {
            headers.PART: str(self.number),
            headers.CHUNK: str(self.chunk),
            headers.FINAL: "true" if self.final else "false",
        }


class Cutter:
    """Takes rows as JSON and returns the parts that they close. Pure."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._entries: list[bytes] = []
        self._part_size = 0
        self._chunk_size = 0
        self._part = 0
        self._chunk = 0

    def rows(self, entries: Iterable[bytes]) -> list[Part]:
        closed = []
        for entry in entries:
            size = len(entry)
            if self._part_size + size > PART_BYTES and self._entries:
                closed.append(self._close(final=False))
            self._entries.append(entry)
            self._part_size += size + 1
            self._chunk_size += size
            if self._chunk_size >= self._chunk_bytes:
                closed.append(self._close(final=False))
                self._chunk += 1
                self._chunk_size = 0
        return closed

    def end(self, entry: bytes) -> Part:
        """The final part. When the last row closed a chunk, it is a chunk of its own."""
        self._entries.append(entry)
        return self._close(final=True)

    def _close(self, *, final: bool) -> Part:
        part = Part(self._part, self._chunk, final, b"[" + b",".join(self._entries) + b"]")
        self._entries, self._part_size = [], 0
        self._part += 1
        return part


class Publisher:
    """Publishes parts in order, as many at once as the window takes."""

    def __init__(self, js: JetStreamContext, handle: str) -> None:
        self._js = js
        self._subject = subjects.shape_snapshot(handle)
        self._sent: deque[tuple[int, asyncio.Future[PubAck]]] = deque()
        self._sent_bytes = 0
        self.published = 0
        """Bytes so far."""

    async def publish(self, part: Part) -> None:
        """Raises what a refused part before this one raised."""
        future = await self._js.publish_async(self._subject, part.payload, headers=part.headers)
        self._sent.append((len(part.payload), future))
        self._sent_bytes += len(part.payload)
        self.published += len(part.payload)
        while len(self._sent) > _WINDOW_PARTS or self._sent_bytes > _WINDOW_BYTES:
            await self._acked()

    async def settle(self) -> None:
        """Wait until JetStream has taken every part."""
        while self._sent:
            await self._acked()

    async def _acked(self) -> None:
        size, future = self._sent.popleft()
        self._sent_bytes -= size
        await future
