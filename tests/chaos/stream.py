"""The strict reader: all of the stream SHAPES in its order, whatever happens to the bus, each log's pieces chained."""

import asyncio
from collections import defaultdict
from contextlib import suppress

import nats
import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from medley.contracts import headers, streams, subjects
from medley.contracts.shapes import ShapeRecord
from medley.runtime import buckets
from medley.runtime.bus import stream_identity
from medley.runtime.together import ended
from tests.chaos.shapes import mark_of
from tests.oracle.reader import Received

_BATCH = 256
_PAUSE = 0.1
_SECONDS = 0.5


class Sent(Received):
    """What was sent of one shape. `mark`: the newest marker in it; `end`: the offset of its log's last entry."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = 0
        self.end = ""
        self.faults: list[str] = []

    def take(self, message: Msg) -> None:
        marks, entries = message.headers or {}, orjson.loads(message.data)
        if message.subject.endswith(".log"):
            if self.end and marks[headers.AFTER] != self.end:
                self.faults.append(f"the log goes on after {marks[headers.AFTER]}, it was at {self.end}")
            self.end = marks[headers.OFFSET]
            self.log += entries
        else:
            self.snapshot += entries
            if marks.get(headers.FINAL) == "true":
                self.whole.set()
        self.mark = max(self.mark, *map(mark_of, entries), 0)


class Stream:
    """Goes on where it was when the connection breaks, and begins anew when the stream is another one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._identity = ""
        self._sequence = 0
        self.sent: dict[str, Sent] = defaultdict(Sent)
        """By handle."""
        self._records: dict[str, ShapeRecord] = {}
        self._task = asyncio.create_task(self._run())

    def of(self, handle: str) -> Sent:
        """What who follows the shape under this handle was sent."""
        record = self._records.get(handle)
        if record is None or record.continued is None:
            return self.sent[handle]
        own, log, found = self.sent[handle], self.sent[record.log], Sent()
        found.snapshot, found.whole = own.snapshot, own.whole
        found.log = [entry for entry in log.log if int(entry["headers"]["lsn"]) > record.snapshot_end.tx]
        found.mark, found.faults = max(own.mark, log.mark), log.faults
        return found

    async def close(self) -> None:
        await ended([self._task])

    async def _run(self) -> None:
        while True:
            with suppress(OSError, NatsError, TimeoutError):
                client = await nats.connect(self._url, allow_reconnect=False, connect_timeout=2, error_cb=_quiet)
                try:
                    await self._read(client.jetstream())
                finally:
                    await client.close()
            await asyncio.sleep(_PAUSE)

    async def _read(self, js: JetStreamContext) -> None:
        """Raises when the connection is lost; returns when the stream is another one."""
        identity = await stream_identity(js, streams.SHAPES.name)
        if identity != self._identity:
            self.sent.clear()
            self._identity, self._sequence = identity, 0
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._sequence + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=30,
        )
        subscription = await js.pull_subscribe(subjects.SHAPE_ANY, stream=streams.SHAPES.name, config=config)
        while True:
            for text in (await buckets.entries(js, streams.SHAPES_BUCKET)).values():
                record = ShapeRecord.model_validate_json(text)
                self._records[record.handle] = record
            try:
                messages = await subscription.fetch(_BATCH, timeout=_SECONDS)
            except NatsTimeout:
                if await stream_identity(js, streams.SHAPES.name) != identity:
                    return
                continue
            for message in messages:
                self._receive(message)

    def _receive(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        if sequence > self._sequence:
            self._sequence = sequence
            if not message.subject.startswith("shapes.position."):
                self.sent[message.subject.split(".")[1]].take(message)


async def _quiet(_: Exception) -> None:
    """Lost connections are nothing new here."""
