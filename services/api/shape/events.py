"""A shape's changes as server-sent events, for one client (protocol section 1.6)."""

import asyncio
from collections.abc import AsyncGenerator

from medley.contracts.offsets import SNAPSHOT_END, Offset
from medley.contracts.shapes import ShapeRecord
from services.api.shape.caller import Caller, CallerLeft
from services.api.shape.contents import Chunk, Contents, events
from services.api.shape.feed import Feed
from services.api.shape.response import up_to_date
from services.api.shape.tail import Gone, Tail

_KEEP_ALIVE = 21.0  # seconds without an event


class Following:
    """One stream of events. It ends in time, and at once when the shape goes: the client's next request is told why."""

    def __init__(self, feed: Feed, contents: Contents, record: ShapeRecord, tail: Tail, caller: Caller) -> None:
        self._feed = feed
        self._contents = contents
        self._record = record
        self._tail = tail
        self._caller = caller

    async def events(self, offset: Offset, seconds: float) -> AsyncGenerator[bytes]:
        """Everything after the offset, and what comes, for so long."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        told = self._feed.positions.of(self._record.handle)
        try:
            while not (self._tail.gone or self._feed.closing):
                self._feed.reads.of(self._record)
                chunk = await self._after(offset)
                if chunk.has_data:
                    yield self._encoded(chunk, offset)
                offset = chunk.reached
                left = deadline - clock()
                if chunk.at_end and left <= 0:
                    return
                if not chunk.at_end or self._tail.end > max(offset, self._record.snapshot_end):
                    continue
                before = self._tail.end
                await self._caller.wait(self._tail, min(left, _KEEP_ALIVE))
                if self._tail.end == before and not self._tail.gone and clock() < deadline:
                    # In one piece: once it waits for a slow reader, the position may cover what it has not sent.
                    news = self._feed.positions.of(self._record.handle) > told
                    told = self._feed.positions.of(self._record.handle)
                    yield b": keep-alive\n\n" + (b"data: " + up_to_date(told) + b"\n\n") * news
        except (Gone, CallerLeft):
            return

    async def _after(self, offset: Offset) -> Chunk:
        if offset < SNAPSHOT_END and (chunk := await self._contents.snapshot(self._record, offset)) is not None:
            return chunk
        return await self._contents.log(self._record, self._tail, max(offset, self._record.snapshot_end))

    def _encoded(self, chunk: Chunk, offset: Offset) -> bytes:
        """Built once for all who wait for the same."""
        key = (self._record.handle, "events", offset, chunk.reached)
        kept: bytes | None = self._feed.bodies.get(*key)
        if kept is None:
            kept = events(chunk)
            self._feed.bodies.keep(kept, len(kept), *key)
        return kept
