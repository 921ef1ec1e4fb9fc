"""Answer a valid request: which shape, which of the protocol's four reads, and its body (sections 1.2 and 1.3)."""

import asyncio
import json
from collections.abc import Iterable

import orjson

from medley.contracts.offsets import BEFORE_ALL, SNAPSHOT_END, Offset
from medley.contracts.shapes import ShapeRecord
from services.api.settings import ApiSettings
from services.api.shape.feed import Feed
from services.api.shape.params import Asked
from services.api.shape.response import (
    Headers,
    Response,
    cursor,
    etag,
    matches,
    must_refetch,
    refused,
    unavailable,
    up_to_date,
)
from services.api.shape.store import Piece
from services.api.shape.tail import Tail

_INITIAL_CACHE = b"public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746"
_LIVE_CACHE = b"public, max-age=5, stale-while-revalidate=5"
_OUT_OF_BOUNDS = {"offset": ["out of bounds for this shape"]}


class Reading:
    """Reads for one feed."""

    def __init__(self, feed: Feed, settings: ApiSettings) -> None:
        self._feed = feed
        self._settings = settings

    async def answer(self, asked: Asked, if_none_match: str | None) -> Response:
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
        try:
            return await self._serve(asked, record, if_none_match)
        except _Gone:
            return await self._moved(asked)

    async def _moved(self, asked: Asked) -> Response:
        """The shape went away while it was being read: lead the client to the new one."""
        reply = await self._feed.open(asked.definition)
        return must_refetch(reply.record.handle if reply.record else None)

    async def _serve(self, asked: Asked, record: ShapeRecord, if_none_match: str | None) -> Response:
        if asked.offset is not None and asked.offset < SNAPSHOT_END:
            ready = await self._feed.ready(record.handle, self._settings.open_seconds)
            if ready is None:
                raise _Gone
            found = await self._snapshot(asked, record)
            if found is not None:
                return self._conditional(found, if_none_match)
        tail = await self._feed.tail(record.handle)
        offset = tail.end if asked.offset is None else max(asked.offset, SNAPSHOT_END)
        if offset > tail.end and offset.tx > max(self._feed.position, tail.end.tx):
            try:
                async with asyncio.timeout(self._settings.long_poll_seconds / 2):
                    await self._arrival(tail, offset)
            except TimeoutError:
                return refused(_OUT_OF_BOUNDS)
        if asked.live and tail.end <= offset:
            await self._wait(tail)
        if tail.gone:
            raise _Gone
        return self._conditional(await self._log(asked, record, tail, offset), if_none_match)

    async def _arrival(self, tail: Tail, offset: Offset) -> None:
        """An offset beyond the log's end: another replica may know more. Raises TimeoutError."""
        while tail.end < offset and not tail.gone and offset.tx > self._feed.position:
            await asyncio.wait([tail.changed()], timeout=0.1)

    async def _wait(self, tail: Tail) -> None:
        """Hold until the log grows or the poll is over; many wait on one future."""
        if self._feed.closing:
            return
        await asyncio.wait([tail.changed()], timeout=self._settings.long_poll_seconds)

    async def _snapshot(self, asked: Asked, record: ShapeRecord) -> Response | None:
        """The chunk of the snapshot after the offset; None when all of it has been read."""
        offset = asked.offset or BEFORE_ALL
        first = 0 if offset == BEFORE_ALL else offset.op + 1
        kept = self._feed.chunks.get(record.handle, first)
        if kept is None:
            kept = await self._chunk(record, first)
            self._feed.chunks.keep(kept, len(kept[0]), record.handle, first)
        if kept is _NOTHING:
            return None
        body, last = kept
        tag = etag(record.handle, asked.offset_text, Offset(0, last), has_data=True)
        cache = _INITIAL_CACHE if offset == BEFORE_ALL else self._cache()
        headers = [*self._headers(record, Offset(0, last), tag, has_data=True), (b"cache-control", cache)]
        return Response(200, body, [*headers, self._schema(record)])

    async def _chunk(self, record: ShapeRecord, first: int) -> tuple[bytes, int]:
        """Whole parts from number `first` until the chunk is large enough: (body, last part's number)."""
        payloads: list[bytes] = []
        size, number, sequence = 0, first - 1, self._feed.places.get(record.handle, first) or 1
        while size < self._settings.shape_chunk_bytes:
            parts = await self._feed.store.parts(record.handle, sequence, self._settings.shape_chunk_bytes - size)
            if not parts:
                if first == 0 or self._feed.record(record.handle) is None:
                    raise _Gone
                break
            for part in parts:
                sequence = part.sequence + 1
                self._feed.places.keep(sequence, 1, record.handle, part.number + 1)
                if part.number < first:
                    continue
                payloads.append(part.payload[1:-1])
                size += len(part.payload)
                number = part.number
                if part.final or size >= self._settings.shape_chunk_bytes:
                    return b"[" + b",".join(payloads) + b"]", number
        return (b"[" + b",".join(payloads) + b"]", number) if payloads else _NOTHING

    async def _log(self, asked: Asked, record: ShapeRecord, tail: Tail, offset: Offset) -> Response:
        end, position = tail.end, self._feed.position
        kept = self._feed.bodies.get(record.handle, offset, end) if end > offset else None
        if kept is None:
            pieces = await self._pieces(record, tail, offset, end)
            kept = _join(pieces, offset, end, position)
            if pieces:
                self._feed.bodies.keep(kept, len(kept[0]), record.handle, offset, end)
        body, reached, at_end = kept
        has_data = reached > offset
        tag = etag(record.handle, asked.offset_text, reached, has_data)
        headers = self._headers(record, reached, tag, has_data=has_data)
        if at_end:
            headers.append((b"electric-up-to-date", b""))
        if asked.live:
            step = cursor(asked.cursor, self._settings.long_poll_seconds)
            headers += [(b"electric-cursor", str(step).encode()), (b"cache-control", _LIVE_CACHE)]
        else:
            headers += [(b"cache-control", self._cache()), self._schema(record)]
        return Response(200, body, headers)

    async def _pieces(self, record: ShapeRecord, tail: Tail, offset: Offset, end: Offset) -> list[Piece]:
        """The visible pieces after the offset, up to the chunk's size. Raises _Gone when they are purged."""
        if offset >= end:
            return []
        pieces = tail.since(offset)
        if pieces is None:
            pieces = await self._stored(record, offset, end, tail.end_sequence)
            if not pieces or pieces[0].after > offset:
                raise _Gone
        return list(_limited(pieces, self._settings.shape_chunk_bytes))

    async def _stored(self, record: ShapeRecord, offset: Offset, end: Offset, end_sequence: int) -> list[Piece]:
        store = self._feed.store
        sequence = self._feed.places.get(record.handle, offset)
        sequence = sequence or await store.find(record.handle, offset, end_sequence)
        pieces: list[Piece] = []
        size = 0
        while size < self._settings.shape_chunk_bytes:
            batch = await store.pieces(record.handle, sequence, self._settings.shape_chunk_bytes - size)
            fresh = [piece for piece in batch if offset < piece.offset <= end]
            pieces += fresh
            size += sum(len(piece.payload) for piece in fresh)
            if not batch or batch[-1].offset >= end:
                break
            sequence = batch[-1].sequence + 1
        if pieces:
            self._feed.places.keep(pieces[-1].sequence + 1, 1, record.handle, pieces[-1].offset)
        return pieces

    def _cache(self) -> bytes:
        settings = self._settings
        return f"public, max-age={settings.cache_max_age}, stale-while-revalidate={settings.cache_stale_age}".encode()

    def _headers(self, record: ShapeRecord, offset: Offset, tag: str, *, has_data: bool) -> Headers:
        return [
            (b"electric-handle", record.handle.encode()),
            (b"electric-offset", str(offset).encode()),
            (b"electric-has-data", b"true" if has_data else b"false"),
            (b"etag", tag.encode()),
        ]

    def _schema(self, record: ShapeRecord) -> tuple[bytes, bytes]:
        """ASCII, for headers are: other characters of column names are escaped."""
        return b"electric-schema", json.dumps(record.protocol_schema, separators=(",", ":")).encode()

    def _conditional(self, response: Response, if_none_match: str | None) -> Response:
        found = dict(response.headers)
        if matches(if_none_match, found[b"etag"].decode()):
            return Response(304, b"", response.headers)
        return response


class _Gone(Exception):
    """The shape is no longer there, or no longer reaches back to the offset."""


_NOTHING: tuple[bytes, int] = (b"", -1)


def _limited(pieces: Iterable[Piece], limit: int) -> Iterable[Piece]:
    """Up to and with the piece that makes the chunk `limit` bytes."""
    size = 0
    for piece in pieces:
        yield piece
        size += len(piece.payload)
        if size >= limit:
            return


def _join(pieces: list[Piece], offset: Offset, end: Offset, position: int) -> tuple[bytes, Offset, bool]:
    """(body, offset reached, whether that is the log's end). Pieces are copied, except one that the offset splits."""
    reached = pieces[-1].offset if pieces else max(offset, SNAPSHOT_END)
    at_end = reached >= end
    payloads = [piece.payload[1:-1] for piece in pieces]
    if pieces and pieces[0].after < offset:
        payloads[0] = _after(pieces[0].payload, offset)
    if at_end:
        # With data: the shape's own last transaction. Without: all that sync has seen (protocol section 1.5).
        lsn = reached.tx if pieces else max(position, reached.tx)
        payloads.append(up_to_date(lsn))
    return b"[" + b",".join(payload for payload in payloads if payload) + b"]", reached, at_end


def _after(payload: bytes, offset: Offset) -> bytes:
    """The entries of one piece that lie after an offset inside it."""
    entries = [
        entry
        for entry in orjson.loads(payload)
        if Offset(int(entry["headers"]["lsn"]), entry["headers"]["op_position"]) > offset
    ]
    return orjson.dumps(entries)[1:-1]
