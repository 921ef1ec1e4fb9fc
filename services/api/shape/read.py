"""Answer a valid read: which shape, which of the protocol's reads, and its headers (sections 1.2 to 1.4)."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from medley.contracts.offsets import SNAPSHOT_END, Offset
from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import Transient
from services.api.settings import ApiSettings
from services.api.shape import events, heads
from services.api.shape.asked import Asked, SubsetAsked
from services.api.shape.caller import Caller
from services.api.shape.contents import Contents
from services.api.shape.feed import Feed
from services.api.shape.response import (
    Response,
    Streamed,
    matches,
    must_refetch,
    refused,
    unavailable,
)
from services.api.shape.tail import Gone, Tail

Answer = Response | Streamed

_OUT_OF_BOUNDS = {"offset": ["out of bounds for this shape"]}
_EVENTS_BYTES = 256 * 1024  # of events at once: a slow reader holds no more
_WHOLE = 2**62  # an operation that is after every one of its transaction


class Subsets(Protocol):
    """Asks Postgres for the rows of a shape as they are now."""

    async def answer(self, record: ShapeRecord, asked: SubsetAsked) -> Answer:
        """Status, body and type of content. Raises Gone when the table is not the record's any more."""


class _OutOfBounds(Exception):
    """The offset lies beyond all that was written."""


class Reading:
    """Reads for one feed, for one caller."""

    def __init__(self, feed: Feed, settings: ApiSettings, subsets: Subsets | None, caller: Caller) -> None:
        self._feed = feed
        self._settings = settings
        self._subsets = subsets
        self._caller = caller
        self._contents = Contents(feed, settings.shape_chunk_bytes, settings.open_seconds)
        self._small = Contents(feed, min(settings.shape_chunk_bytes, _EVENTS_BYTES), settings.open_seconds)

    async def answer(self, asked: Asked, if_none_match: str | None) -> Answer:
        record = None
        if asked.handle is not None:
            record = self._feed.record(asked.handle)
            if record is not None and record.definition != asked.definition:
                record = None
        if record is None:
            reply = await self._feed.open(asked.definition)
            if reply.errors:
                return refused(reply.errors)
            if reply.record is None:
                return unavailable(reply.unavailable or "the shape cannot be opened now")
            record = reply.record
            if asked.handle is not None and asked.handle != record.handle:
                return must_refetch(record.handle)
        self._feed.reads.of(record)
        try:
            if asked.subset is not None:
                return await self._subset(asked, asked.subset, record)
            if asked.sse:
                return await self._stream(asked, record)
            return self._conditional(await self._page(asked, record), if_none_match)
        except _OutOfBounds:
            return refused(_OUT_OF_BOUNDS)
        except Gone:
            return await self._moved(asked, record.handle)

    async def _moved(self, asked: Asked, handle: str) -> Response:
        """The shape went away while it was being read: lead the client to the new one, unless it was deleted."""
        if self._feed.was_deleted(handle):
            return must_refetch(None)
        reply = await self._feed.open(asked.definition)
        if reply.errors and asked.handle is None:
            return refused(reply.errors)
        if reply.record is not None and reply.record.handle == handle:
            reply = await self._feed.ask(asked.definition)  # it may know a later generation
        if reply.record is not None and reply.record.handle == handle:
            # It is not yet known to be over: a handle that was refused must not be served again.
            await self._feed.drop(handle)
            reply = await self._feed.open(asked.definition)
        return must_refetch(reply.record.handle if reply.record else None)

    async def _page(self, asked: Asked, record: ShapeRecord) -> Response:
        """One chunk: of the snapshot, or of the log, which a live request waits for."""
        chunk = None
        if asked.offset is not None and asked.offset < SNAPSHOT_END:
            chunk = await self._contents.snapshot(record, asked.offset)
        if chunk is None:
            tail = await self._feed.tail(record)
            offset = max(tail.end if asked.offset is None else asked.offset, record.snapshot_end)
            await self._reachable(record.handle, tail, offset)
            if asked.live and tail.end <= offset and not self._feed.closing:
                await self._caller.wait(tail, self._settings.long_poll_seconds)
            if tail.gone:
                raise Gone
            chunk = await self._contents.log(record, tail, offset)
        headers = heads.of_page(self._settings, asked, record, chunk, self._feed.schema(record))
        return Response(200, chunk.body, headers)

    async def _reachable(self, handle: str, tail: Tail, offset: Offset) -> None:
        """An offset beyond the log's end: another replica may know more. Raises _OutOfBounds, and Transient when this
        feed comes to its end: it hears no more, and what its streams held may be gone."""
        if offset <= tail.end or offset.tx <= max(self._feed.positions.of(handle), tail.end.tx):
            return
        try:
            async with asyncio.timeout(self._settings.long_poll_seconds / 2):
                while tail.end < offset and not tail.gone and offset.tx > self._feed.positions.of(handle):
                    if self._feed.closing:
                        raise Transient("the bus was lost")
                    await self._caller.wait(tail, 0.1)
        except TimeoutError:
            raise _OutOfBounds from None

    async def _stream(self, asked: Asked, record: ShapeRecord) -> Streamed:
        """Server-sent events from the offset on (section 1.6)."""
        offset = asked.offset or record.snapshot_end
        tail = await self._feed.tail(record)
        if offset.tx > 0 and offset.op == 0:
            # The client made it of an up-to-date message, `<LSN>_0`: it has all of that transaction.
            offset = Offset(offset.tx, _WHOLE)
        if offset >= SNAPSHOT_END:
            offset = max(offset, record.snapshot_end)
        await self._reachable(record.handle, tail, offset)
        following = events.Following(self._feed, self._small, record, tail, self._caller)
        age = max(1, int(self._settings.sse_seconds) - 1)
        headers = [
            *heads.identity(record, asked.offset_text),
            (b"electric-has-data", b"true" if tail.end > offset else b"false"),
            heads.next_cursor(self._settings, asked),
            (b"cache-control", f"public, max-age={age}".encode()),
            (b"content-type", b"text/event-stream"),
            (b"x-accel-buffering", b"no"),  # a proxy passes each event on as it comes
        ]
        return Streamed(200, following.events(offset, self._settings.sse_seconds), headers)

    async def _subset(self, asked: Asked, subset: SubsetAsked, record: ShapeRecord) -> Answer:
        """Rows as they are now (section 1.7). Every change that they lack comes after the offset that is named."""
        if self._subsets is None:
            return unavailable("the database is not connected")
        offset_text = asked.offset_text
        if asked.handle is None:
            offset_text = str((await self._feed.tail(record)).end)
        answer = await self._caller.while_there(self._subsets.answer(record, subset))
        headers = [
            *heads.identity(record, offset_text),
            (b"electric-schema", self._feed.schema(record)),
            (b"electric-snapshot", b"true"),
        ]
        if not isinstance(answer, Streamed):
            return answer
        headers.append((b"cache-control", b"no-cache"))
        return Streamed(answer.status, _held(answer.body, self._caller), [*answer.headers, *headers])

    def _conditional(self, response: Response, if_none_match: str | None) -> Response:
        if not if_none_match:
            return response
        found = dict(response.headers)
        if matches(if_none_match, found[b"etag"].decode()):
            return Response(304, b"", response.headers)
        return response


async def _held(body: AsyncGenerator[bytes], caller: Caller) -> AsyncGenerator[bytes]:
    """The body, for as long as the caller is there."""
    async for piece in body:
        if caller.has_left:
            return
        yield piece
