"""Capture: WAL in, the CHANGES stream out, nothing lost and nothing twice.

Invariants
  * a message of CHANGES has a deterministic id, and names the id that must stand before it: a gap cannot be written;
  * an LSN is confirmed to Postgres only after JetStream acked everything at or below it, and `confirm_delay` later.

The order: read what the stream holds → open the slot → drop what the stream has → publish → ack → wait → confirm.
A crash anywhere repeats from the confirmed LSN, and the repeat is recognised.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import NotFoundError

from medley.contracts import headers, streams, subjects
from medley.runtime.errors import Transient
from medley.runtime.together import together
from services.sync.changes import Assembler, Identity, Message, Place, last_of
from services.sync.handover import Arrived, Taker
from services.sync.pgoutput import Begin, Change, Commit, Decoder, Relation
from services.sync.progress import Mark
from services.sync.replication import KEEPALIVE, WAL_HEADER, Replication, StreamEnded, reply_wanted, wal_end
from services.sync.resuming import Resumed
from services.sync.settings import SyncSettings
from services.sync.turns import Turns

log = structlog.get_logger()

_STATUS_INTERVAL = 0.5
_SILENCE = 30.0  # seconds; it is asked for an answer much earlier
_UNACKED_BYTES = 16 * 1024 * 1024  # of messages that JetStream has not acked; then no more are published
_ROOM = 256 * 1024  # in a message, beside its one largest change: up to 1,600 columns, and the headers


class Newest(NamedTuple):
    """The newest message of CHANGES, the place of its last change, and its transaction."""

    id: str
    place: Place
    transaction: Identity
    sequence: int


async def newest_message(js: JetStreamContext) -> Newest | None:
    """None when the stream is empty."""
    try:
        last = await js.get_last_msg(streams.CHANGES.name, subjects.CHANGES_ANY)
    except NotFoundError:
        return None
    named = last.headers or {}
    return Newest(named[headers.MSG_ID], *last_of(last.data or b""), last.seq or 0)


class _Published(NamedTuple):
    """What `_acks` waits for. `future`: None when nothing had to be published for the LSN."""

    at: float
    lsn: int
    future: asyncio.Future[PubAck] | None
    size: int
    sequence: int


class PublishFailed(Transient):
    """JetStream did not take a message; capture starts again from what the stream holds."""


class Confirmation:
    """Which LSN may be confirmed: the newest that is acked and old enough. Pure but for the clock it is given."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._acked: deque[tuple[float, int]] = deque()
        self.confirmed = 0

    def acked(self, lsn: int, now: float) -> None:
        if not self._acked or lsn > self._acked[-1][1]:
            self._acked.append((now, lsn))

    def due(self, now: float) -> int:
        while self._acked and now - self._acked[0][0] >= self._delay:
            self.confirmed = max(self.confirmed, self._acked.popleft()[1])
        return self.confirmed


class Capture:
    """One run of capture on an open slot; ends only by raising. `mark` is told how far CHANGES goes, as it moves;
    `taker` says who is given what is published. `confirmed`: the slot's LSN; `era`: the one that the streams are of."""

    def __init__(
        self,
        client: Client,
        replication: Replication,
        settings: SyncSettings,
        mark: Callable[[Mark], None],
        taker: Callable[[], Taker | None],
        confirmed: int,
        era: str,
    ) -> None:
        self._js: JetStreamContext = client.jetstream(publish_async_max_pending=2000)
        self._replication = replication
        self._settings = settings
        self._decoder = Decoder()
        self._largest = client.max_payload - _ROOM
        self._era = era
        self._assembler = Assembler(settings.message_bytes, self._largest, era=era)
        self._confirmation = Confirmation(settings.confirm_delay)
        self._pending: deque[_Published] = deque()
        self._unacked = 0
        self._room = asyncio.Event()
        self._arrived = asyncio.Event()
        self._last_id: str | None = None
        self._mark = mark
        self._taker = taker
        self._sequence = 0
        """Of the newest message, in CHANGES."""
        self._marked = Mark(0, 0)
        self._confirmed_before = confirmed
        self._resumed = Resumed(None, 0)
        self.received = 0

    @property
    def marked(self) -> int:
        """Every published change that was committed below this LSN is in CHANGES."""
        return self._marked.lsn

    @property
    def forked(self) -> bool:
        """Whether it ended because the streams hold another history than the database."""
        return self._resumed.forked

    @property
    def unacked_bytes(self) -> int:
        """Of messages that JetStream has not acked."""
        return self._unacked

    def unacked_seconds(self, now: float) -> float:
        """The age of the oldest of them."""
        return now - self._pending[0].at if self._pending else 0.0

    async def run(self) -> None:
        await self._recover()
        try:
            await together(acks=self._acks(), status=self._status(), stream=self._stream())
        finally:
            if (taker := self._taker()) is not None:
                taker.withdrawn()

    async def _recover(self) -> None:
        """Learn the stream's last message: what is at or before it is not published again."""
        last = await newest_message(self._js)
        self._sequence = (await self._js.stream_info(streams.CHANGES.name)).state.last_seq
        if last is not None:
            self._last_id = last.id
            self._marked = Mark(last.sequence, 0)
            self._assembler = Assembler(self._settings.message_bytes, self._largest, last.place, self._era)
            self._resumed = Resumed(last.transaction, self._confirmed_before)
            log.info("capture resumes", after=self._last_id)

    async def _stream(self) -> None:
        turns = Turns()
        decode = self._decoder.decode
        while True:
            frames = await self._replication.frames()
            turns.begin()
            for frame in frames:
                if frame[0] == KEEPALIVE:
                    self._keepalive(frame)
                    continue
                event = decode(frame, WAL_HEADER)
                if isinstance(event, Change):
                    for message in self._assembler.change(event):
                        self._done(0, await self._publish([message]), len(message.payload))
                elif event is not None:
                    await self._bounds(event)
                if turns.due:
                    await turns.taken()

    def _keepalive(self, frame: bytes) -> None:
        """With nothing open, everything that was sent is dealt with: the slot advances on an idle database, too."""
        self.received = max(self.received, wal_end(frame))
        if not self._assembler.inside:
            self._resumed.passed(wal_end(frame))
            self._done(self.received, None)
        if reply_wanted(frame):
            self._report()

    async def _bounds(self, event: Begin | Commit | Relation) -> None:
        match event:
            case Begin():
                self._resumed.begins(event)
                self._assembler.begin(event)
            case Commit():
                messages = self._assembler.commit(event)
                future = await self._publish(messages)
                self.received = event.end_lsn
                self._done(event.end_lsn, future, sum(len(message.payload) for message in messages))

    async def _publish(self, messages: Sequence[Message]) -> asyncio.Future[PubAck] | None:
        future: asyncio.Future[PubAck] | None = None
        while self._unacked > _UNACKED_BYTES:
            self._room.clear()
            await self._room.wait()
        for message in messages:
            if self._last_id is not None:
                message.headers[headers.EXPECTED_LAST_MSG_ID] = self._last_id
            # No deadline here: it would cost a task for each message, and `_status` watches the oldest ack.
            future = await self._js.publish_async(message.subject, message.payload, headers=message.headers)
            self._last_id = message.id
            self._sequence += 1
            if (taker := self._taker()) is not None:
                taker.given(Arrived(self._sequence, message.payload, message.last, time.time()))
        return future

    def _done(self, lsn: int, future: asyncio.Future[PubAck] | None, size: int = 0) -> None:
        self._unacked += size
        self._pending.append(_Published(time.monotonic(), lsn, future, size, self._sequence))
        self._arrived.set()

    async def _acks(self) -> None:
        """Take acks in the order of publishing; the first that fails ends the run."""
        while True:
            while self._pending:
                published = self._pending[0]
                await self._acked(published)
                self._pending.popleft()
                self._unacked -= published.size
                self._room.set()
                self._confirmation.acked(published.lsn, time.monotonic())
                if published.lsn > self._marked.lsn:
                    self._marked = Mark(published.sequence, published.lsn)
                    self._mark(self._marked)
            self._arrived.clear()
            await self._arrived.wait()

    async def _acked(self, published: _Published) -> None:
        """Raises PublishFailed."""
        if published.future is None:
            return
        try:
            acked = await published.future
        except NatsError as error:
            raise PublishFailed(f"CHANGES refused a message: {error}") from error
        if acked.seq != published.sequence:
            raise PublishFailed(f"CHANGES numbered a message {acked.seq}, and not {published.sequence}")
        if (taker := self._taker()) is not None:
            taker.stored(published.sequence)

    async def _status(self) -> None:
        while True:
            await asyncio.sleep(_STATUS_INTERVAL)
            if self._replication.silent_for() > _SILENCE:
                raise StreamEnded(f"Postgres has sent nothing for {_SILENCE:g} s, not even a keepalive")
            if self._pending and time.monotonic() - self._pending[0].at > self._settings.ack_timeout:
                raise PublishFailed(f"no ack from CHANGES within {self._settings.ack_timeout:g} s")
            self._report()

    def _report(self) -> None:
        self._replication.confirm(self.received, self._confirmation.due(time.monotonic()))
