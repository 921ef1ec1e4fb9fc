"""Who does the work: the sync that holds the replication slot. The others stand by and try again.

One term: prepare the publication and the slot → open the stream (this is the lock) → take up the shapes → capture and
fan out until something fails. Whatever fails ends the term; the next one starts from what Postgres and JetStream hold.
"""

import asyncio
from contextlib import suppress

import asyncpg
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from medley.contracts import headers, streams, subjects
from medley.contracts.shapes import Heartbeat
from medley.runtime import bus
from medley.runtime.errors import Transient
from medley.runtime.metrics import Metric
from medley.runtime.postgres import FAILURES
from medley.runtime.settings import NatsSettings, PostgresSettings
from medley.runtime.together import together
from services.sync import metrics, publication, reconcile, requests
from services.sync.announcements import Announcements
from services.sync.capture import Capture, newest_message
from services.sync.fanout import Fanout
from services.sync.opening import Openings
from services.sync.registry import Registry
from services.sync.replication import Replication, SlotBusy
from services.sync.settings import SyncSettings

log = structlog.get_logger()

_STANDBY = 0.5
_HEARTBEAT = 0.5
_STOP = 2.0
_TRANSIENT = (Transient, NatsError, *FAILURES)


class BusLost(Transient):
    """The connection to NATS broke; the term ends, since acks and deliveries may be missing."""


class Leader:
    """Holds terms, one after the other, for as long as the process lives."""

    def __init__(
        self, pool: asyncpg.Pool, postgres: PostgresSettings, nats: NatsSettings, settings: SyncSettings
    ) -> None:
        self._pool = pool
        self._dsn = postgres.dsn.get_secret_value()
        self._nats = nats
        self._settings = settings
        self.role = "starting"
        self._fanout: Fanout | None = None

    def measure(self) -> list[Metric]:
        """What there is to say in numbers."""
        fanout = self._fanout
        if fanout is None or fanout.evaluation is None or fanout.reading is None:
            return [metrics.of_role(self.role)]
        found = metrics.of_term(fanout.shapes.values(), fanout.evaluation, fanout.reading, fanout.lsn)
        return [metrics.of_role(self.role), *found]

    async def lead(self, stop: asyncio.Event) -> None:
        """Term after term until `stop`; ends before only by an error that repeating cannot mend."""
        pause = 0.1
        while not stop.is_set():  # a cancellation may be lost inside of a library while a server is frozen
            started = asyncio.get_running_loop().time()
            try:
                await self._term()
            except SlotBusy as error:
                if self.role != "standby":
                    log.info("standing by", reason=str(error))
                self.role = "standby"
                await asyncio.sleep(_STANDBY)
                continue
            except (*_TRANSIENT, ExceptionGroup) as error:
                log.warning("term ended", reason=_reason(error))
            if asyncio.get_running_loop().time() - started > 10:
                pause = 0.1
            self.role = "starting"
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)

    async def _term(self) -> None:
        lost = asyncio.Event()
        client = await bus.connect(self._nats, "sync", on_lost=lost.set)
        try:
            js = client.jetstream()
            await bus.ensure(js)
            registry = await Registry.open(js)
            await publication.prepare(
                self._pool,
                self._settings,
                lambda identity: _newest(js, registry, identity),
                lambda identity: _start_afresh(js, registry, identity),
            )
            replication = await Replication.open(
                self._dsn, self._settings.slot, self._settings.publication, self._settings.wal_sender_timeout
            )
            try:
                await self._serve(client, registry, replication, lost)
            finally:
                replication.close()
        finally:
            await bus.close(client)

    async def _serve(self, client: Client, registry: Registry, replication: Replication, lost: asyncio.Event) -> None:
        fanout = await _take_up(client, registry, self._pool, self._settings.clause_seconds)
        openings = Openings(self._pool, fanout, self._settings)
        capture = Capture(client, replication, self._settings, fanout.marked)
        broker = requests.broker(self._nats, openings)
        self.role = "active"
        self._fanout = fanout
        log.info("term begins", shapes=len(fanout.shapes), position=fanout.lsn)
        try:
            await together(
                capture=capture.run(),
                fan_out=fanout.run(),
                relate=fanout.relate(),
                announce=fanout.announcements.announce(),
                save=fanout.announcements.save(fanout.unseen),
                reconcile=reconcile.watch(self._pool, fanout, self._settings),
                heartbeat=_heartbeat(client, fanout),
                bus=_fail_when(lost),
                requests=broker.start(),
            )
        finally:
            self._fanout = None
            openings.close()
            await fanout.close()
            with suppress(Exception):  # it fails while the bus is away, and there is nothing to do
                await asyncio.wait_for(broker.stop(), _STOP)


async def _take_up(client: Client, registry: Registry, pool: asyncpg.Pool, seconds: float) -> Fanout:
    """Fan-out with the shapes that can go on: whole snapshots, fed from the stream that is there now."""
    changes_id = await bus.stream_identity(registry.js, streams.CHANGES.name)
    announcements = await Announcements.open(client.jetstream(), registry)
    fanout = Fanout(client, registry, announcements, changes_id, pool, seconds)
    fit = []
    for record in await registry.records():
        if record.state == "ready" and record.changes_id == changes_id and await registry.has_snapshot(record.handle):
            fit.append(record)
        else:
            log.warning("shape cannot go on", handle=record.handle, table=record.definition.table)
            await registry.forget(record.handle)
    await fanout.recover(fit)
    return fanout


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
    """Forget what was captured: it cannot be continued. First of all readers hear that the position is none: what they
    knew may lie beyond all that comes."""
    await js.publish(subjects.SHAPE_POSITION, b"0", headers={headers.ROLLUP: "sub"})
    for record in await registry.records():
        await registry.forget(record.handle)
    await js.purge_stream(streams.CHANGES.name)
    await registry.save_database(identity)


async def _heartbeat(client: Client, fanout: Fanout) -> None:
    while True:
        beat = Heartbeat(state="active", lsn=fanout.lsn, shapes=len(fanout.shapes))
        await client.publish(subjects.SYNC_HEARTBEAT, beat.model_dump_json().encode())
        await asyncio.sleep(_HEARTBEAT)


async def _fail_when(lost: asyncio.Event) -> None:
    await lost.wait()
    raise BusLost("the connection to NATS broke")


def _reason(error: BaseException) -> str:
    """The first cause inside a group, in words. Raises what no repeat can mend."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if not isinstance(inner, (*_TRANSIENT, BaseExceptionGroup)):
                raise inner
        return _reason(error.exceptions[0])
    return str(error) or repr(error)
