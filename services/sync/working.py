"""Fan-out, in terms: this worker's share of the slices, taken from whoever had them, and fed until something fails.

One term: hear who is there → take the slices → say so → take up their shapes → feed them, open new ones, answer
requests. It ends when somebody comes or goes, another one has taken a slice, or the streams are not what they were.
"""

import asyncio
import time

import asyncpg
import structlog
from nats.aio.client import Client
from nats.js.errors import APIError

from medley.contracts import streams, subjects
from medley.contracts.shapes import CaptureMark, HandlesRead, Heartbeat
from medley.contracts.slices import slice_of
from medley.runtime import bus
from medley.runtime.errors import Transient
from medley.runtime.settings import NatsSettings
from medley.runtime.together import together
from services.sync import budget, claims, reconcile, room
from services.sync.announcements import Announced, Announcements
from services.sync.exporting import Exports
from services.sync.fanout import Fanout
from services.sync.handover import Handover
from services.sync.making import Making
from services.sync.marks import Marks
from services.sync.members import Members
from services.sync.opening import Openings
from services.sync.presence import Presence
from services.sync.progress import Mark
from services.sync.purging import Purging
from services.sync.reads import Reads
from services.sync.registry import Registry
from services.sync.renewing import Renewals
from services.sync.requests import Desk
from services.sync.settings import SyncSettings
from services.sync.slices import SliceLost, Slices
from services.sync.taking_up import take_up
from services.sync.terms import StreamsGone, Waiting, fail_when

log = structlog.get_logger()

_LOOK = 0.25
_SURE = 1.0
"""Seconds for which another share must be wanted, before it is taken."""
_STREAMS = 2.0
_CAPTURED = 3.0
_IDLE = 1.0


class Rebalanced(Transient):
    """Another share of the slices is this worker's now."""


class Working:
    """`presence` must run beside it."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        nats: NatsSettings,
        settings: SyncSettings,
        marks: Marks,
        handover: Handover,
        members: Members,
    ) -> None:
        self._pool = pool
        self._nats = nats
        self._settings = settings
        self._marks = marks
        self._handover = handover
        self._members = members
        self._slices: Slices | None = None
        self.fanout: Fanout | None = None
        self.desk = Desk(members)
        """Takes requests, in whatever term."""

    def beat(self, capturing: bool) -> Heartbeat:
        """What to say of this worker."""
        slices, fanout = self._slices, self.fanout
        serving = slices is not None and fanout is not None
        return Heartbeat(
            worker=self._members.worker,
            capturing=capturing,
            slices=slices.numbers if slices is not None and serving else (),
            epoch=slices.epoch if slices is not None else 0,
            lsn=fanout.lsn if fanout is not None else 0,
            shapes=len(fanout.shapes) if fanout is not None else 0,
        )

    async def term(self, presence: Presence) -> None:
        """Ends only by raising; Waiting when there are more workers than slices."""
        lost = asyncio.Event()
        client = await bus.connect(self._nats, "sync", on_lost=lost.set)
        try:
            await bus.ensure(client.jetstream())
            await presence.settled()
            await self._marks.some(_CAPTURED)
            wanted = self._members.wanted(time.monotonic())
            if not wanted:
                raise Waiting("there are more workers than slices", _IDLE)
            await self._serve(client, wanted, lost)
        except* APIError as refused:
            if refused.subgroup(bus.is_full) is not None:
                await room.make(client.jetstream(), self._settings.log_bytes)
            raise
        finally:
            await bus.close(client)

    async def _serve(self, client: Client, wanted: tuple[int, ...], lost: asyncio.Event) -> None:
        js = client.jetstream()
        registry = await Registry.open(js)
        ids = await _identities(registry)
        changes_id = await registry.changes_id()
        before = await Announced.read(js)
        slices = await Slices.take(registry.state, self._members.worker, wanted, before.epoch)
        announcements = Announcements(js, slices, changes_id, before, self._settings.confirm_delay)
        await announcements.begin()
        records, position = await take_up(js, registry, slices.positions, changes_id)
        seconds, publication = self._settings.clause_seconds, self._settings.publication
        fanout = Fanout(client, registry, announcements, changes_id, self._pool, seconds, publication)
        await fanout.recover(records, position)
        await reconcile.look(self._pool, fanout, self._settings)  # before anything is given to them
        reads = Reads(time.monotonic())
        exports = Exports(self._pool, js, self._settings)
        making = Making(self._pool, fanout, self._settings, slices, exports)
        openings = Openings(fanout, slices, making, reads)
        renewals = Renewals(self._pool, fanout, self._settings, slices, exports)
        purging = Purging(fanout, reads, self._settings)
        self._slices, self.fanout, self.desk.openings = slices, fanout, openings
        log.info("term begins", shapes=len(fanout.shapes), position=fanout.lsn, slices=len(slices.numbers))
        try:
            with (
                self._marks.told_to(lambda mark: _marked(fanout, mark)),
                self._handover.taken_by(changes_id, fanout.arrivals),
            ):
                await together(
                    changes=fanout.follow_changes(),
                    fan_out=fanout.run(),
                    relate=fanout.relate(),
                    announce=announcements.announce(),
                    save=announcements.save(fanout.unseen),
                    reconcile=reconcile.watch(self._pool, fanout, self._settings),
                    share=self._keep_share(slices),
                    streams=self._keep_streams(registry, ids, changes_id),
                    records=claims.watch(fanout, slices),
                    read=_hear(client, reads, slices),
                    renew=renewals.run(),
                    purge=purging.run(),
                    budget=budget.watch(fanout, reads, self._settings),
                    handover=fanout.arrivals.lost(),
                    bus=fail_when(lost),
                )
        finally:
            self._slices = self.fanout = self.desk.openings = None
            openings.close()
            await fanout.close()

    async def _keep_share(self, slices: Slices) -> None:
        """Raises Rebalanced, SliceLost."""
        other_since: float | None = None
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            if (usurper := self._members.usurper(slices.numbers, slices.epoch, now)) is not None:
                raise SliceLost(f"worker {usurper} has taken a slice")
            if self._members.wanted(now) == slices.numbers:
                other_since = None
            elif other_since is None:
                other_since = now
            elif now - other_since > _SURE:
                raise Rebalanced(f"{len(self._members.others(now)) + 1} workers are there now")

    async def _keep_streams(self, registry: Registry, ids: tuple[str, ...], changes_id: str) -> None:
        """Raises StreamsGone, and nats.js.errors.NotFoundError."""
        while True:
            await asyncio.sleep(_STREAMS)
            if await _identities(registry) != ids or await registry.changes_id() != changes_id:
                raise StreamsGone("a stream was made again, or everything starts afresh")


async def _hear(client: Client, reads: Reads, slices: Slices) -> None:
    """What APIs say of our slices' handles."""
    async for message in (await client.subscribe(subjects.SYNC_READ)).messages:
        said = HandlesRead.model_validate_json(message.data)
        handles, snapshots = (
            tuple(handle for handle in some if slice_of(handle) in slices.numbers)
            for some in (said.handles, said.snapshots)
        )
        reads.heard(HandlesRead(handles=handles, snapshots=snapshots), time.monotonic())


def _marked(fanout: Fanout, mark: CaptureMark) -> None:
    if mark.changes_id == fanout.changes_id:
        fanout.marked(Mark(mark.sequence, mark.lsn))


async def _identities(registry: Registry) -> tuple[str, ...]:
    names = (streams.SHAPES.name, f"KV_{streams.SHAPES_BUCKET.name}", f"KV_{streams.SYNC_BUCKET.name}")
    return tuple([await bus.stream_identity(registry.js, name) for name in names])
