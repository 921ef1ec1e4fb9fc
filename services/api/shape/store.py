"""Read SHAPES without consumers: direct gets, one message or a batch (NATS ADR-31)."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from medley.contracts import headers, streams, subjects
from medley.contracts.offsets import Offset
from medley.contracts.shapes import Announcement
from medley.contracts.slices import SLICES
from medley.runtime.errors import Transient
from medley.runtime.together import told_to_end

_DIRECT = f"$JS.API.DIRECT.GET.{streams.SHAPES.name}"
_BATCH = 512
_BATCH_BYTES = 4 * 1024 * 1024
_AT_ONCE = 4  # batches: with a largest message each they stay below what the server holds for a connection, 64 MB
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a log: the entries after `after`, up to and with `offset`, as a JSON array."""

    sequence: int
    after: Offset
    offset: Offset
    last: bool
    """Whether a transaction ends with it."""
    payload: bytes


def piece(message: Msg, sequence: int) -> Piece:
    found = message.headers or {}
    return Piece(
        sequence=sequence,
        after=Offset.parse(found[headers.AFTER]),
        offset=Offset.parse(found[headers.OFFSET]),
        last=found.get(headers.LAST) == "true",
        payload=message.data,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a snapshot; `number` counts from 0 through the whole snapshot."""

    number: int
    chunk: int
    final: bool
    sequence: int
    payload: bytes


def _part(found: Mapping[str, str] | None, sequence: int, payload: bytes) -> Part:
    """A part without a chunk's number is one of the only chunk."""
    found = found or {}
    number, chunk = int(found[headers.PART]), int(found.get(headers.CHUNK, "0"))
    return Part(number, chunk, found[headers.FINAL] == "true", sequence, payload)


class Store:
    """The stream's messages by subject and sequence.

    `client` should be used for nothing else: what is read here can be large. Raises Transient when what was asked for
    did not come, or not for certain all of it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream()
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def positions(self) -> list[Announcement]:
        """What each worker of sync announced last."""
        found = await asyncio.gather(*map(self._announcement, range(SLICES)))
        return [said for said in found if said is not None]

    async def _announcement(self, number: int) -> Announcement | None:
        try:
            raw = await self._js.get_last_msg(streams.SHAPES.name, subjects.shape_position(number), direct=True)
        except NotFoundError:
            return None
        return Announcement.model_validate_json(raw.data or b"")

    async def last_piece(self, handle: str) -> Piece | None:
        try:
            raw = await self._js.get_last_msg(streams.SHAPES.name, subjects.shape_log(handle), direct=True)
        except NotFoundError:
            return None
        found = raw.headers or {}
        return Piece(
            sequence=raw.seq or 0,
            after=Offset.parse(found[headers.AFTER]),
            offset=Offset.parse(found[headers.OFFSET]),
            last=found.get(headers.LAST) == "true",
            payload=raw.data or b"",
        )

    async def pieces(self, handle: str, sequence: int, max_bytes: int) -> list[Piece]:
        """The log from the first message at or after `sequence`, about `max_bytes` of it (at least one message)."""
        messages = await self._batch(subjects.shape_log(handle), sequence, _BATCH, max_bytes)
        return [piece(message, number) for number, message in messages]

    async def parts(self, handle: str, sequence: int, max_bytes: int) -> list[Part]:
        """The snapshot from the first message at or after `sequence`."""
        messages = await self._batch(subjects.shape_snapshot(handle), sequence, _BATCH, max_bytes)
        return [_part(message.headers, number, message.data) for number, message in messages]

    async def find(self, handle: str, offset: Offset, high: int) -> int:
        """The sequence of the first log message that ends after `offset`; `high` is one that does.

        Offsets grow with sequences, so this halves the range: about 20 small requests in the largest stream.
        """
        low = 1
        while low < high:
            middle = (low + high) // 2
            found = await self._batch(subjects.shape_log(handle), middle, 1, 0)
            if found and found[0][0] <= high and piece(found[0][1], 0).offset <= offset:
                low = found[0][0] + 1
            else:
                high = middle
        return high

    async def is_closed(self, handle: str, number: int) -> bool:
        """Whether chunk `number` of a snapshot is whole, though others may still come."""
        last = await self.last_part(handle)
        return last is not None and (last.chunk > number or last.final)

    async def last_part(self, handle: str) -> Part | None:
        """The newest of a snapshot that is there."""
        try:
            raw = await self._js.get_last_msg(streams.SHAPES.name, subjects.shape_snapshot(handle), direct=True)
        except NotFoundError:
            return None
        return _part(raw.headers, raw.seq or 0, raw.data or b"")

    async def find_chunk(self, handle: str, number: int) -> int:
        """The sequence of the first part of chunk `number`, by halving; 0 when the snapshot has fewer chunks."""
        subject = subjects.shape_snapshot(handle)
        last = await self.last_part(handle)
        if last is None or last.chunk < number:
            return 0
        low, high = 1, last.sequence
        while low < high:
            middle = (low + high) // 2
            found = await self._batch(subject, middle, 1, 0)
            if found and found[0][0] < high and _part(found[0][1].headers, 0, b"").chunk < number:
                low = found[0][0] + 1
            else:
                high = middle
        return high

    async def _batch(self, subject: str, sequence: int, batch: int, max_bytes: int) -> list[tuple[int, Msg]]:
        """Messages in order, without a gap: a connection that broke meanwhile may have swallowed some."""
        async with self._room:
            connection = self._client.stats["reconnects"]
            try:
                found = await self._messages(subject, sequence, batch, max_bytes)
            except asyncio.CancelledError:
                if told_to_end():
                    raise
                raise Transient("the bus was lost while the stream SHAPES was read") from None  # nats-py cancelled it
            if connection != self._client.stats["reconnects"] or not self._client.is_connected:
                raise Transient("the bus was lost while the stream SHAPES was read")
            return found

    async def _messages(self, subject: str, sequence: int, batch: int, max_bytes: int) -> list[tuple[int, Msg]]:
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox)
        request = {"seq": max(1, sequence), "next_by_subj": subject, "batch": batch}
        if max_bytes:
            request["max_bytes"] = min(max_bytes, _BATCH_BYTES)
        found: list[tuple[int, Msg]] = []
        try:
            await self._client.publish(_DIRECT, json.dumps(request).encode(), reply=inbox)
            while True:
                try:
                    message = await subscription.next_msg(timeout=_TIMEOUT)
                except TimeoutError as error:
                    raise Transient("the stream SHAPES did not answer") from error
                status = (message.headers or {}).get("Status")
                if status is not None:  # 204: end of batch, 404: nothing there
                    if status not in ("204", "404"):
                        raise Transient(f"the stream SHAPES answered {status}")
                    return found
                found.append((int((message.headers or {})["Nats-Sequence"]), message))
        finally:
            await subscription.unsubscribe()
