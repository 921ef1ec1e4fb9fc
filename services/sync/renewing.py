"""Keeps logs bounded: a shape whose log has outgrown its snapshot is given another snapshot, and the log goes on.

A later generation has a handle of its own, so that nobody, no cache between us and a client either, ever takes one
snapshot for another; whoever follows the shape goes on under the handle that it has.

The order: hold what comes → take a snapshot that is the state after some transaction → record the generation → export
its rows → the record says that it is whole → later, what it supersedes is purged (`purging`). A crash leaves a record
without rows, which the next term forgets.
"""

import asyncio
import time
from contextlib import nullcontext

import asyncpg
import structlog

from medley.contracts.shapes import Continued, ShapeRecord
from medley.runtime.errors import Transient
from medley.sql.visibility import Snapshot
from services.sync import claims, joining
from services.sync.catalog import SQL, describe
from services.sync.exporting import Exports
from services.sync.fanout import Fanout
from services.sync.live import LiveShape
from services.sync.reconcile import why_not
from services.sync.related.relations import source
from services.sync.session import Session
from services.sync.settings import SyncSettings
from services.sync.slices import Slices
from services.sync.table import Refused, Table

log = structlog.get_logger()

_TRIES = 20
_SETTLED = 30.0
_SHARE = 10
"""Exporting a shape's generations takes at most one part in so many of the time."""
_AGAIN = 30.0


class Renewals:
    def __init__(
        self, pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings, slices: Slices, exports: Exports
    ) -> None:
        self._pool = pool
        self._fanout = fanout
        self._settings = settings
        self._slices = slices
        self._exports = exports
        self._not_before: dict[str, float] = {}
        fanout.appends.log_bytes = settings.log_bytes

    async def run(self) -> None:
        """Ends only by raising, which nothing that concerns a shape alone does."""
        while True:
            await asyncio.sleep(self._settings.renewal_interval)
            outgrown = self._fanout.appends.outgrown
            for shape in list(outgrown.values()):
                handle, now = shape.record.handle, time.monotonic()
                if self._not_before.get(handle, now) > now or shape.record.state != "ready":
                    continue
                outgrown.pop(handle, None)
                if handle in self._fanout.shapes:
                    self._not_before[handle] = now + await self._pause_after(shape)
                    self._fanout.appends.weigh(shape)
            self._not_before = {handle: at for handle, at in self._not_before.items() if at > time.monotonic()}

    async def _pause_after(self, shape: LiveShape) -> float:
        """Renew it; how long to leave it alone then."""
        started = time.monotonic()
        try:
            ready, rows, exporting = await self._renew(shape)
        except (Transient, Refused, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            reason = str(error) or repr(error)
            log.warning("shape not renewed", handle=shape.record.handle, table=shape.table, reason=reason)
            return _AGAIN
        seconds = time.monotonic() - started
        log.info(
            "shape renewed",
            handle=shape.record.handle,
            table=shape.table,
            generation=ready.handle,
            rows=rows,
            seconds=round(seconds, 3),
        )
        return max(exporting * _SHARE, seconds)

    async def _renew(self, shape: LiveShape) -> tuple[ShapeRecord, int, float]:
        """The generation, and how many rows were exported in how many seconds. Raises Transient, and what exports
        raise."""
        definition = shape.record.definition
        async with self._pool.acquire() as connection:
            table = await describe(connection, definition.schema_name, definition.table, self._settings.publication)
        for _ in range(_TRIES):
            session = await self._exports.session()
            try:
                record = await self._generation(session, shape, table)
                if record is not None:
                    started = time.monotonic()
                    return *await self._write(session, shape, record, table), time.monotonic() - started
            finally:
                await session.close()
        raise Transient("no snapshot is the state after one of the table's transactions")

    async def _generation(self, session: Session, shape: LiveShape, table: Table) -> ShapeRecord | None:
        """Of the snapshot that the session is given now; None when it cannot be one. Raises Transient."""
        sequence, size = shape.log.sequence, shape.log.size
        async with asyncio.timeout(_SETTLED):
            found = await self._settled(session, shape, table)
        if found is None:
            return None
        seen, lsn = found
        first = shape.record.whole()
        return first.model_copy(
            update={
                "handle": f"{first.definition.digest()}-{time.time_ns() // 1000}",
                "state": "snapshotting",
                "snapshot": (seen.xmin, seen.xmax, seen.xip),
                "snapshot_bytes": 0,
                "continued": Continued(handle=first.handle, lsn=lsn, sequence=sequence, size=size),
            }
        )

    async def _settled(self, session: Session, shape: LiveShape, table: Table) -> tuple[Snapshot, int] | None:
        """The snapshot, and the LSN up to which it is what the log tells. Raises Transient, TimeoutError."""
        fanout = self._fanout
        unseen = fanout.unseen.now()
        with (
            fanout.related.apart() if shape.reads else nullcontext() as apart,
            fanout.holds.holding(shape.relations) as held,
        ):
            await session.lock((table.sql, *(source(one) for one in shape.reads)))
            connection = session.connection
            moment = await connection.fetchrow(SQL["moment"])
            assert moment is not None
            seen = Snapshot.parse(moment["snapshot"])
            if not all(seen.sees(xid) for xid in unseen):
                return None
            rows = await connection.fetch(SQL["present"], sorted(shape.relations), self._settings.publication)
            if (reason := why_not(shape.record.common, {row["oid"]: row for row in rows})) is not None:
                raise Transient(reason)
            lsn = await joining.boundary(fanout, seen, held, moment)
            processed = fanout.sequence
            while shape.reads and fanout.related.floor(processed) < processed:
                await fanout.appends.flushed()
            return (seen, lsn) if lsn is not None and (apart is None or apart.kept) else None

    async def _write(
        self, session: Session, shape: LiveShape, record: ShapeRecord, table: Table
    ) -> tuple[ShapeRecord, int]:
        fanout = self._fanout
        fanout.later.making(record)
        try:
            (revision,) = await claims.put(fanout.registry, self._slices, (record,))
            ready, rows = await self._exports.export(session, shape, record, table)
            if shape.record.handle not in fanout.shapes:
                raise Transient("it ended meanwhile")
            await fanout.registry.complete(ready, revision)
        except Exception:
            fanout.later.remove(record.handle)
            await fanout.registry.forget(record.handle)
            raise
        fanout.later.add(ready)
        assert ready.continued is not None
        shape.log.before = ready.continued.size
        shape.record = shape.record.whole().model_copy(update={"snapshot_bytes": ready.snapshot_bytes})
        return ready, rows
