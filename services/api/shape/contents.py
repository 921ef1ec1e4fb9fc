"""What a shape holds after an offset: a chunk of its snapshot, or of its log. Built once for all who ask for the same.

Nothing here waits for changes, only for a snapshot's export: who waits for changes is decided in `read` and `events`.
"""

import re
import time
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import orjson

from medley.contracts.offsets import BEFORE_ALL, Offset
from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import Transient
from services.api.shape.feed import Feed
from services.api.shape.response import up_to_date
from services.api.shape.store import Piece
from services.api.shape.tail import Gone, Tail

_EXPORT_PAUSE = 0.02  # seconds between two looks at a snapshot that is being exported


class Chunk(NamedTuple):
    """A JSON array of messages, and where it leads. At the log's end it closes with `up-to-date`."""

    body: bytes
    reached: Offset
    at_end: bool
    has_data: bool


class Contents:
    """Reads through one feed. `chunk_bytes`: a chunk of a log is closed by the entry that makes it this large;
    `patience`: seconds that a chunk of a snapshot may take to be exported."""

    def __init__(self, feed: Feed, chunk_bytes: int, patience: float) -> None:
        self._feed = feed
        self._chunk_bytes = chunk_bytes
        self._patience = patience

    async def snapshot(self, record: ShapeRecord, offset: Offset) -> Chunk | None:
        """The chunk after the offset, which is before the snapshot's end; None when all of it was read.

        Raises Gone; Transient when the chunk is still being exported after `patience` seconds.
        """
        number = 0 if offset == BEFORE_ALL else offset.op + 1
        self._feed.reads.of_snapshot(record)
        kept: Chunk | None = self._feed.bodies.get(record.handle, number)
        if kept is not None:
            return kept
        body = await self._feed.builds.once(partial(self._exported, record.handle, number), record.handle, number)
        if body is None:
            return None
        chunk = Chunk(body, Offset(0, number), at_end=False, has_data=True)
        self._feed.bodies.keep(chunk, len(body), record.handle, number)
        return chunk

    async def _exported(self, handle: str, number: int) -> bytes | None:
        """Chunk `number`, as soon as it is closed, also while the rest is exported; None: there is none."""
        deadline = time.monotonic() + self._patience
        while True:
            record = self._feed.record(handle)
            if record is None:
                raise Gone
            if record.state == "ready" or await self._feed.store.is_closed(handle, number):
                return await self._parts(record, number)
            if time.monotonic() > deadline:
                raise Transient("the snapshot is still being made")
            await self._feed.settled(handle, _EXPORT_PAUSE)

    async def _parts(self, record: ShapeRecord, number: int) -> bytes | None:
        """The parts of a closed chunk; None when there is no such chunk."""
        sequence = await self._place(record.handle, number)
        payloads: list[bytes] = []
        wanted, expected = record.chunk_bytes, 0 if number == 0 else None
        while sequence:
            parts = await self._feed.store.parts(record.handle, sequence, max(1, wanted))
            for part in parts:
                sequence = part.sequence + 1
                if part.chunk > number:
                    self._feed.places.keep(part.sequence, 1, record.handle, part.chunk)
                if part.chunk != number:
                    return _joined(payloads) if payloads else None
                if expected not in (None, part.number):
                    raise Transient("parts of the snapshot are missing")
                expected = part.number + 1
                payloads.append(part.payload)
                wanted -= len(part.payload)
                if part.final:
                    return _joined(payloads)
            if not parts:
                break
        purged = payloads or number == 0 or await self._feed.store.last_part(record.handle) is None
        if purged or self._feed.record(record.handle) is None:
            raise Gone  # its end is lacking
        return None

    async def _place(self, handle: str, number: int) -> int:
        """Where in the stream the chunk begins, or what comes before it; 0: nowhere."""
        if number == 0:
            return 1
        return self._feed.places.get(handle, number) or await self._feed.store.find_chunk(handle, number)

    async def log(self, record: ShapeRecord, tail: Tail, offset: Offset) -> Chunk:
        """The log after the offset, which is not before the snapshot's end. Raises Gone when it is purged."""
        chunk = self.log_at_hand(record, tail, offset)
        if chunk is not None:
            return chunk
        end, handle = tail.end, record.log
        read = partial(self._stored, handle, offset, end, tail.end_sequence)
        pieces = await self._feed.builds.once(read, handle, offset, end, self._chunk_bytes)
        return self._kept(handle, pieces, offset, end)

    def log_at_hand(self, record: ShapeRecord, tail: Tail, offset: Offset) -> Chunk | None:
        """The same, as far as memory has it. Raises Gone, Transient."""
        end, position, handle = tail.end, self._feed.positions.of(record.handle), record.log
        if offset >= end:
            # Nothing new: all that sync has seen (protocol section 1.5).
            return Chunk(b"[" + up_to_date(max(position, end.tx)) + b"]", offset, at_end=True, has_data=False)
        kept: Chunk | None = self._feed.bodies.get(handle, offset, end, self._chunk_bytes)
        if kept is None and (pieces := tail.since(offset)) is not None:
            return self._kept(handle, pieces, offset, end)
        return kept

    def snapshot_at_hand(self, record: ShapeRecord, offset: Offset) -> Chunk | None:
        """The chunk of the snapshot after the offset, when somebody has read it before."""
        number = 0 if offset == BEFORE_ALL else offset.op + 1
        chunk: Chunk | None = self._feed.bodies.get(record.handle, number)
        if chunk is not None:
            self._feed.reads.of_snapshot(record)
        return chunk

    def _kept(self, handle: str, pieces: list[Piece], offset: Offset, end: Offset) -> Chunk:
        if not pieces or pieces[0].after > offset:
            raise Gone
        if any(piece.after != before.offset for before, piece in pairwise(pieces)):
            raise Transient("pieces of the log are missing")
        kept = joined(pieces, offset, end, self._chunk_bytes)
        self._feed.bodies.keep(kept, len(kept.body), handle, offset, end, self._chunk_bytes)
        return kept

    async def _stored(self, handle: str, offset: Offset, end: Offset, end_sequence: int) -> list[Piece]:
        """The pieces after the offset, enough for one chunk."""
        store = self._feed.store
        sequence = self._feed.places.get(handle, offset) or await store.find(handle, offset, end_sequence)
        pieces: list[Piece] = []
        size = 0
        while size < self._chunk_bytes:
            batch = await store.pieces(handle, sequence, self._chunk_bytes - size)
            fresh = [piece for piece in batch if offset < piece.offset <= end]
            pieces += fresh
            size += sum(len(piece.payload) for piece in fresh)
            if not batch or batch[-1].offset >= end:
                break
            sequence = batch[-1].sequence + 1
        if pieces:
            self._feed.places.keep(pieces[-1].sequence + 1, 1, handle, pieces[-1].offset)
        return pieces


def _joined(payloads: list[bytes]) -> bytes:
    return b"[" + b",".join(payload[1:-1] for payload in payloads) + b"]"


def joined(pieces: list[Piece], offset: Offset, end: Offset, limit: int) -> Chunk:
    """The entries after the offset, until one makes the chunk `limit` bytes. Pure.

    Pieces are copied as they are, except one that the offset or the limit splits.
    """
    payloads: list[bytes] = []
    size, reached = 0, offset
    for piece in pieces:
        payload, last = piece.payload[1:-1], piece.offset
        if piece.after < offset or size + len(payload) >= limit:
            payload, last = _part(piece, offset, limit - size)
        payloads.append(payload)
        size += len(payload) + 1
        reached = last
        if size >= limit or last < piece.offset:
            break
    at_end = reached >= end
    if at_end:
        payloads.append(up_to_date(reached.tx))  # with data: the shape's own last transaction (section 1.5)
    return Chunk(b"[" + b",".join(filter(None, payloads)) + b"]", reached, at_end, has_data=True)


def _part(piece: Piece, offset: Offset, limit: int) -> tuple[bytes, Offset]:
    """A piece's entries after the offset, until one makes them `limit` bytes; and the last one's offset."""
    taken: list[bytes] = []
    size, reached = 0, offset
    for entry in orjson.loads(piece.payload):
        place = Offset(int(entry["headers"]["lsn"]), entry["headers"]["op_position"])
        if place <= offset:
            continue
        taken.append(orjson.dumps(entry))
        size += len(taken[-1]) + 1
        reached = place
        if size >= limit:
            break
    return b",".join(taken), reached


# Where one message ends and the next begins: a quote that stands inside a string has a backslash before it, and
# no other object follows an object, since the values of rows are text.
_BOUNDARY = re.compile(rb'\},(?=\{"(?:key|headers)":)')


def events(chunk: Chunk) -> bytes:
    """The chunk's messages as server-sent events (protocol section 1.6). Pure."""
    return b"data: " + _BOUNDARY.sub(b"}\n\ndata: ", chunk.body[1:-1]) + b"\n\n"
