"""Make shapes so that no change is lost and none is seen twice (design decision 6): those of one table that are asked
for at the same time, in one snapshot.

The order: publish the table → hold its changes → lock the table against DDL → take the snapshot → describe the table
in it → route the shapes, giving each what was held and the snapshot does not see → record them → export the rows.

A transaction can reach fan-out a moment before new snapshots see it. So a snapshot that does not see one of the
transactions that were fanned out before the hold began is thrown away, and another taken.
"""

import asyncio
from collections.abc import Sequence

import asyncpg

from medley.contracts.shapes import ClauseTable, OpenRequest, ShapeRecord
from medley.runtime.errors import Transient
from services.sync import claims, joining, publication, reconcile
from services.sync.asked import Asked, Asking
from services.sync.catalog import describe
from services.sync.entries import Rotate
from services.sync.exporting import Exports
from services.sync.fanout import Fanout
from services.sync.filling import Filling
from services.sync.live import Incoming, LiveShape
from services.sync.moment import Moment
from services.sync.predicates.analysis import analyse, clause_columns
from services.sync.related.relations import source
from services.sync.settings import SyncSettings
from services.sync.slices import Slices
from services.sync.table import Refused, Table, select_columns
from services.sync.withheld import Withheld

_SNAPSHOT_TRIES = 20

Made = list[tuple[Asked, LiveShape]]


class Making:
    """Makes the shapes of one fan-out."""

    def __init__(
        self, pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings, slices: Slices, exports: Exports
    ) -> None:
        self._pool = pool
        self._fanout = fanout
        self._settings = settings
        self._slices = slices
        self._withheld = Withheld(settings.withheld)
        self._exports = exports
        self._filling = Filling(fanout, exports)
        self._asking = Asking(self._make)

    def ask(self, request: OpenRequest) -> asyncio.Future[ShapeRecord]:
        """The shape's record, once its changes are being logged; its rows may still be on their way. It raises Refused,
        and other errors, after which it may be asked for again; it is cancelled when the term ends."""
        asked = Asked(request)
        definition = request.definition
        try:
            self._withheld.check("table", definition.schema_name, definition.table)
            self._asking.add(asked)
        except Refused as refusal:
            asked.fail(refusal)
        return asked.made

    def close(self) -> None:
        self._asking.close()
        self._filling.close()

    async def _make(self, batch: Sequence[Asked]) -> None:
        """Shapes of one table. Raises what concerns all of them."""
        table = await self._understood(batch)
        if table is None:
            return
        await joining.announced(self._fanout)
        waiting = batch
        for _ in range(_SNAPSHOT_TRIES):
            waiting = [one for one in waiting if not one.made.done()]
            if not waiting:
                return
            waiting = await self._attempt(table, waiting)
        raise Transient("no settled snapshot: transactions stay invisible after their commit; try again")

    async def _understood(self, batch: Sequence[Asked]) -> Table | None:
        """What each clause is; the table, published, unless none of them may be made."""
        definition = batch[0].request.definition
        async with self._pool.acquire() as connection:
            table = await describe(connection, definition.schema_name, definition.table, self._settings.publication)
            clauses = any(one.request.definition.where is not None for one in batch)
            columns = await clause_columns(connection, table) if clauses else []
            for one in batch:
                try:
                    select_columns(table, one.request.definition)
                    self._withheld.check_names(one.request.definition.where)
                    clause = await analyse(connection, table, columns, one.request.definition)
                    one.conditions, one.predicate = clause
                    for read in one.reads:
                        await self._publish_read(connection, read)
                except Exception as error:
                    one.fail(error)
            if all(one.made.done() for one in batch):
                return None
            await self._publish(connection, table)
        return table

    async def _publish(self, connection: asyncpg.pool.PoolConnectionProxy, table: Table) -> None:
        if table.full_identity and not table.published:  # it was, once
            await reconcile.end_shapes_of(self._fanout, table.oid)
        await publication.publish(connection, table, self._settings)

    async def _publish_read(self, connection: asyncpg.pool.PoolConnectionProxy, read: ClauseTable) -> None:
        """A table that a subquery reads is followed like any other. Raises Refused."""
        self._withheld.check("where", read.schema_name, read.name)
        try:
            table = await describe(connection, read.schema_name, read.name, self._settings.publication)
            await self._publish(connection, table)
        except Refused as refusal:
            raise Refused("where", *(text for texts in refusal.errors.values() for text in texts)) from refusal

    async def _attempt(self, before: Table, waiting: Sequence[Asked]) -> Sequence[Asked]:
        """In one snapshot. Returns those that need another one."""
        session = await self._exports.session()
        made: Made = []
        try:
            reads = {read.oid: read for one in waiting for read in one.reads}
            unseen = self._fanout.unseen.now()
            with self._fanout.holds.holding({before.oid, *reads}) as held:
                locked = (before.sql, *(source(one) for one in reads.values()))
                await session.lock(locked, shared=len(waiting) > 1)
                moment = await Moment.of(session.connection, before, self._settings.publication)
                if not all(moment.seen.sees(xid) for xid in unseen):
                    await session.close()
                    return waiting
                self._fanout.unseen.shown(moment.seen)
                again = [one for one in waiting if not await self._join(moment, one, held, made)]
            revisions = await self._record(made)
        except BaseException:
            for _, shape in made:
                self._fanout.remove(shape)
            await session.close()
            raise
        self._filling.fill(session, moment.table, [shape for _, shape in made], revisions)
        return again

    async def _join(self, moment: Moment, asked: Asked, held: list[Incoming], made: Made) -> bool:
        """Route one shape; False when its snapshot cannot be used."""
        try:
            record = await moment.record(asked, self._fanout.changes_id)
            shape = LiveShape(self._fanout.js, record)
            joined = await joining.join(self._fanout, shape, held, moment.row)
        except (Refused, Rotate, Transient) as error:
            asked.fail(error)
            return True
        if joined:
            made.append((asked, shape))
        return joined

    async def _record(self, made: Made) -> list[int]:
        # What was held may be older than the announced position: it is in the log before anybody can read.
        await self._fanout.appends.flushed()
        records = [shape.record.whole() for _, shape in made]
        revisions = await claims.put(self._fanout.registry, self._slices, records)
        for (asked, _), record in zip(made, records, strict=True):
            asked.succeed(record)
        return revisions
