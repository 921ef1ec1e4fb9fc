"""What the API knows from the bus: the shapes there are, the ends of their logs, and how far sync has come.

All of it is rebuilt from the streams when the connection was lost; nothing here is state that a restart loses.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.api import ConsumerConfig, DeliverPolicy

from medley.contracts import streams, subjects
from medley.contracts.positions import Positions
from medley.contracts.shapes import (
    Announcement,
    DropReply,
    DropRequest,
    Heartbeat,
    OpenReply,
    OpenRequest,
    ShapeDefinition,
    ShapeRecord,
)
from medley.runtime import buckets, bus
from medley.runtime.errors import Transient
from services.api.settings import ApiSettings
from services.api.shape.bodies import Bodies, Builds
from services.api.shape.reads import Reads
from services.api.shape.response import schema_of
from services.api.shape.store import Store, piece
from services.api.shape.tail import Gone, Tail
from services.api.shape.workers import Workers

_RETRY_OPEN = 0.25
_ASK_SECONDS = 2.0
_LEFT = 10_000  # handles remembered as gone
_BODY_BYTES = 64 * 1024 * 1024
_PLACES = 100_000


class Feed:
    """One connection's view of the bus."""

    def __init__(self, client: Client, reads: Client, settings: ApiSettings) -> None:
        """`reads`: a connection of its own for what is large, so that changes and heartbeats never wait behind it."""
        self.client = client
        self.store = Store(reads)
        self.positions = Positions()
        """How far sync has come, by shape."""
        self.closing = False
        self._records: dict[str, ShapeRecord] = {}
        self._handles: dict[ShapeDefinition, str] = {}
        self._tails: dict[str, Tail] = {}
        self._held: deque[Tail] = deque()
        self._held_bytes = 0
        self._settings = settings
        self._left: OrderedDict[str, None] = OrderedDict()
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self.bodies: Bodies[Any] = Bodies(_BODY_BYTES)
        """Chunks, and the events of chunks, by handle and offset."""
        self.builds = Builds()
        self.places: Bodies[int] = Bodies(_PLACES)
        """Where to read on in the stream: after an offset of a log, or for a chunk of a snapshot."""
        self._changed = asyncio.Event()
        self.reads = Reads()
        """What was read since sync was told so last."""
        self.workers = Workers()

    async def run(self, informed: Callable[[], None]) -> None:
        """Follow the registry, and say once all that is there now is known; ends only by raising."""
        bucket = await bus.ensure_bucket(self.client.jetstream(), streams.SHAPES_BUCKET)
        watcher = await bucket.watchall()
        for text in (await buckets.entries(self.client.jetstream(), streams.SHAPES_BUCKET)).values():
            self._enter(ShapeRecord.model_validate_json(text))
        informed()
        async for entry in watcher:
            if entry is None:
                continue
            if entry.operation in ("DEL", "PURGE"):
                self._leave(entry.key)
            else:
                self._enter(ShapeRecord.model_validate_json(entry.value or b""))

    async def subscribe(self) -> None:
        js = self.client.jetstream()
        await self.client.subscribe(subjects.SYNC_HEARTBEAT, cb=self._on_beat)
        await self.client.subscribe(subjects.SYNC_SHAPES_DROP, cb=self._on_drop)
        await js.subscribe(
            subjects.SHAPE_LOG_ANY,
            stream=streams.SHAPES.name,
            ordered_consumer=True,
            cb=self._on_message,
            config=ConsumerConfig(
                deliver_policy=DeliverPolicy.NEW,
                filter_subjects=[subjects.SHAPE_LOG_ANY, subjects.SHAPE_POSITIONS],
            ),
        )
        for said in await self.store.positions():
            self.positions.hear(said)

    def close(self) -> None:
        """Release everyone who waits, and let nobody wait here again."""
        self.closing = True
        for tail in self._tails.values():
            tail.release()

    def record(self, handle: str) -> ShapeRecord | None:
        return self._records.get(handle)

    def schema(self, record: ShapeRecord) -> bytes:
        """The `electric-schema` header of a shape."""
        kept: bytes | None = self.bodies.get(record.handle, "schema")
        if kept is None:
            kept = schema_of(record)
            self.bodies.keep(kept, len(kept), record.handle, "schema")
        return kept

    def at_hand(self, record: ShapeRecord) -> Tail | None:
        """The end of the log, when it is known here."""
        tail = self._tails.get(record.log)
        return tail if tail is not None and tail.loaded and not tail.gone else None

    def known(self, definition: ShapeDefinition) -> ShapeRecord | None:
        handle = self._handles.get(definition)
        return self._records.get(handle) if handle else None

    async def open(self, definition: ShapeDefinition) -> OpenReply:
        """Find the shape or have it made. Waits for a sync that is starting. Raises Transient."""
        if (record := self.known(definition)) is not None:
            return OpenReply(record=record)
        return await self.ask(definition)

    async def ask(self, definition: ShapeDefinition) -> OpenReply:
        """Sync's word, whatever is known here. Raises Transient."""
        return await self.builds.once(partial(self._open, definition), definition)

    async def _open(self, definition: ShapeDefinition) -> OpenReply:
        asked = OpenRequest(definition=definition, chunk_bytes=self._settings.shape_chunk_bytes)
        request = asked.model_dump_json().encode()
        deadline = time.monotonic() + self._settings.open_seconds
        while True:
            # Asked again and again: the sync that took the request may be gone, and another one there.
            try:
                answer = await self.client.request(subjects.SYNC_SHAPES_OPEN, request, timeout=_ASK_SECONDS)
                reply = OpenReply.model_validate_json(answer.data)
                if reply.record is not None and not await self._recorded(reply.record):
                    reply = OpenReply(unavailable="the shape has just gone; try again")
            except (NatsError, TimeoutError) as error:
                if (record := self.known(definition)) is not None:
                    return OpenReply(record=record)
                if time.monotonic() + _RETRY_OPEN > deadline or self.closing:
                    reason = "no sync is running" if isinstance(error, NoRespondersError) else "sync does not answer"
                    raise Transient(f"{reason}; try again") from error
                await asyncio.sleep(_RETRY_OPEN)
                continue
            if reply.unavailable is not None and time.monotonic() + _RETRY_OPEN < deadline:
                await asyncio.sleep(_RETRY_OPEN)
                continue
            return reply

    async def _recorded(self, record: ShapeRecord) -> bool:
        """Whether the registry has it, which alone will say when it goes: a sync that was frozen may answer before it
        sees that its streams are others now."""
        if record.handle not in self._records:
            if not await buckets.holds(self.client.jetstream(), streams.SHAPES_BUCKET, record.handle):
                return False
            self._enter(record)
        return True

    async def drop(self, handle: str) -> None:
        """Delete the shape; when it returns, the handle is not known here any more. Raises Transient."""
        request = DropRequest(handle=handle).model_dump_json().encode()
        try:
            answer = await self.client.request(subjects.SYNC_SHAPES_DROP, request, timeout=_ASK_SECONDS)
        except NoRespondersError as error:
            raise Transient("no sync is running; try again") from error
        DropReply.model_validate_json(answer.data)
        self._leave(handle)

    def was_deleted(self, handle: str) -> bool:
        """Whether somebody asked for its deletion, here or at another replica."""
        return handle in self._deleted

    async def settled(self, handle: str, within: float) -> None:
        """Wait until the snapshot is whole or the shape is gone, but no longer than `within` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while (record := self._records.get(handle)) is not None and record.state != "ready":
                    self._changed.clear()
                    await self._changed.wait()

    async def tail(self, record: ShapeRecord) -> Tail:
        """The end of the log. Raises Gone, and Transient while a transaction is half written."""
        handle = record.log
        if record.handle not in self._records:
            raise Gone
        tail = self._tails.setdefault(handle, Tail())
        if not tail.loaded:
            tail.load(await self.builds.once(partial(self.store.last_piece, handle), handle, "last"))
        if not tail.loaded:
            try:
                async with asyncio.timeout(self._settings.open_seconds):
                    while not (tail.loaded or tail.gone):
                        await tail.waiter()
            except TimeoutError:
                raise Transient("a transaction is still being written") from None
        if tail.gone:
            raise Gone
        return tail

    def _enter(self, record: ShapeRecord) -> None:
        known = self._records.get(record.handle)
        if record.handle in self._left:
            return  # the word that it is gone came first
        if known is None or known.state == "snapshotting":
            self._records[record.handle] = record
            if self._is_for_all(record):
                self._handles[record.definition] = record.handle
            self._changed.set()

    def _is_for_all(self, record: ShapeRecord) -> bool:
        """Whether who asks for the definition is given it: the last generation whose snapshot is whole."""
        if record.continued is not None and record.state != "ready":
            return False
        known = self.known(record.definition)
        return known is None or known.log != record.log or known.snapshot_end <= record.snapshot_end

    def _leave(self, handle: str) -> None:
        _remember(self._left, handle)
        record = self._records.pop(handle, None)
        if record is not None and self._handles.get(record.definition) == handle:
            del self._handles[record.definition]
        if (tail := self._tails.pop(handle, None)) is not None:
            tail.leave()
        self._changed.set()

    async def _on_beat(self, message: Msg) -> None:
        self.workers.heard(Heartbeat.model_validate_json(message.data))

    async def _on_drop(self, message: Msg) -> None:
        """The request goes to sync; everybody hears it."""
        _remember(self._deleted, DropRequest.model_validate_json(message.data).handle)

    async def _on_message(self, message: Msg) -> None:
        handle = message.subject.split(".")[1]
        if handle == "position":
            self.positions.hear(Announcement.model_validate_json(message.data))
            return
        tail = self._tails.get(handle)
        if tail is None:
            return  # nobody has asked for it here
        if grown := tail.append(piece(message, message.metadata.sequence.stream)):
            self._held.append(tail)
            self._held_bytes += grown
        while self._held_bytes > self._settings.tail_bytes and self._held:
            self._held_bytes -= self._held.popleft().forget_oldest()


def _remember(handles: OrderedDict[str, None], handle: str) -> None:
    handles[handle] = None
    if len(handles) > _LEFT:
        handles.popitem(last=False)
