"""Capture, in terms: the worker that holds the replication slot is the only one; the others try again.

One term: prepare the publication and the slot → open the stream (this is the lock) → capture until something fails.
"""

import asyncio

import asyncpg
import structlog
from nats.js import JetStreamContext

from medley.contracts import streams
from medley.contracts.shapes import CaptureMark
from medley.runtime import bus
from medley.runtime.settings import NatsSettings, PostgresSettings
from medley.runtime.together import together
from services.sync import durability, publication
from services.sync.capture import Capture, newest_message
from services.sync.catalog import SQL
from services.sync.handover import Handover
from services.sync.marks import Marks
from services.sync.progress import Mark
from services.sync.registry import Registry
from services.sync.replication import Replication, SlotBusy
from services.sync.settings import SyncSettings
from services.sync.slot import SlotWatch
from services.sync.terms import StreamsGone, Waiting, fail_when

log = structlog.get_logger()

_STANDBY = 0.5
_STREAMS = 2.0


class Capturing:
    """`active`: this worker captures now."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        postgres: PostgresSettings,
        nats: NatsSettings,
        settings: SyncSettings,
        marks: Marks,
        handover: Handover,
    ) -> None:
        self._pool = pool
        self._dsn = postgres.dsn.get_secret_value()
        self._nats = nats
        self._settings = settings
        self._marks = marks
        self._handover = handover
        self.active = False
        self.capture: Capture | None = None
        self._forked = False
        self.slot = SlotWatch(pool, settings.slot)

    async def term(self) -> None:
        """Ends only by raising; Waiting while another worker captures."""
        lost = asyncio.Event()
        client = await bus.connect(self._nats, "sync-capture", on_lost=lost.set)
        try:
            js = client.jetstream()
            await bus.ensure(js)
            registry = await Registry.open(js)
            await publication.prepare(
                self._pool,
                self._settings,
                lambda identity: _newest(js, registry, identity),
                lambda identity: _start_afresh(js, registry, identity),
                registry.begin_era,
                forked=self._forked,
            )
            self._forked = False
            try:
                replication = await Replication.open(
                    self._dsn, self._settings.slot, self._settings.publication, self._settings.wal_sender_timeout
                )
            except SlotBusy as error:
                raise Waiting(str(error), _STANDBY) from error
            try:
                changes_id = await registry.changes_id()

                def mark(one: Mark) -> None:
                    self._marks.tell(CaptureMark(changes_id=changes_id, sequence=one.sequence, lsn=one.lsn))

                await durability.told(js, self._nats, self._settings.confirm_delay)
                self.active = True
                log.info("capture begins", slot=self._settings.slot, confirmed_after=self._settings.confirm_delay)
                state = await self._pool.fetchrow(SQL["slot_state"], self._settings.slot)
                confirmed = state["confirmed"] if state is not None else 0
                self.capture = Capture(
                    *(client, replication, self._settings, mark, lambda: self._handover.taker(changes_id)),
                    *(confirmed or 0, await registry.era()),
                )
                await together(
                    capture=self.capture.run(),
                    slot=self.slot.run(),
                    streams=_keep_streams(registry, changes_id),
                    bus=fail_when(lost),
                )
            finally:
                self._forked = self.capture is not None and self.capture.forked
                self.active, self.capture = False, None
                replication.close()
        finally:
            await bus.close(client)


async def _keep_streams(registry: Registry, changes_id: str) -> None:
    """Whoever feeds shapes takes marks of what they are fed from only. Raises StreamsGone, NotFoundError."""
    while True:
        await asyncio.sleep(_STREAMS)
        if await registry.changes_id() != changes_id:
            raise StreamsGone("CHANGES or the bucket of sync was made again")


async def _newest(js: JetStreamContext, registry: Registry, identity: str) -> int | None:
    """The newest LSN in CHANGES; None when it is another database's."""
    known = await registry.database()
    if known is None:
        await registry.save_database(identity)
    elif known != identity:
        return None
    last = await newest_message(js)
    return last.place[0] if last is not None else 0


async def _start_afresh(js: JetStreamContext, registry: Registry, identity: str) -> None:
    """Forget what was captured: it cannot be continued. Its era ends first: from then on no worker goes on with it."""
    await registry.end_era()
    for record in await registry.records():
        await registry.forget(record.handle)
    await js.purge_stream(streams.CHANGES.name)
    await registry.save_database(identity)
