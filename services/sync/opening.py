"""Open a shape: find it, or make it so that no change is lost and none is seen twice (design decision 6).

The order: publish the table → hold its changes → lock the table against DDL → take the snapshot → describe the table
in it → route the shape, giving it what was held and the snapshot does not see → record it → export the rows.

A transaction can reach fan-out a moment before new snapshots see it. So a snapshot that does not see one of the
transactions that were fanned out before the hold began is thrown away, and another taken.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any
from weakref import WeakValueDictionary

import asyncpg
import structlog

from medley.contracts.shapes import (
    ClauseColumn,
    ClauseTable,
    DropReply,
    DropRequest,
    OpenReply,
    OpenRequest,
    Predicate,
    ShapeDefinition,
    ShapeRecord,
)
from medley.contracts.slices import slice_of
from medley.runtime.errors import Transient
from medley.sql.visibility import Snapshot
from services.sync import claims, joining, publication, type_texts
from services.sync.catalog import SQL, describe
from services.sync.exporting import Exports
from services.sync.fanout import Fanout
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.analysis import Conditions, analyse
from services.sync.reads import Reads
from services.sync.related.relations import source
from services.sync.session import Session
from services.sync.settings import SyncSettings
from services.sync.slices import Slices
from services.sync.table import Refused, Table, protocol_schema, select_columns
from services.sync.withheld import Withheld

log = structlog.get_logger()

_SNAPSHOT_TRIES = 20
_OF_ONE_TABLE = 4


class Openings:
    """Opens shapes for one fan-out; requests for one definition share one opening."""

    def __init__(
        self, pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings, slices: Slices, exports: Exports, reads: Reads
    ) -> None:
        self._pool = pool
        self._fanout = fanout
        self._settings = settings
        self._slices = slices
        self._withheld = Withheld(settings.withheld)
        self._by_digest = {shape.record.definition.digest(): handle for handle, shape in fanout.shapes.items()}
        self._under_way: dict[ShapeDefinition, asyncio.Task[ShapeRecord]] = {}
        # A name that no table has leaves nothing behind: whoever waits keeps its turns alive.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()
        self._exports = exports
        self._reads = reads
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, number: int) -> bool:
        """Whether shapes of this slice are opened here."""
        return number in self._slices.numbers

    async def open(self, request: OpenRequest) -> OpenReply:
        """The shape's record, once its changes are being logged; its rows may still be on their way."""
        definition = request.definition
        if not self.has(slice_of(definition.digest())):
            return OpenReply(unavailable="the shape belongs to another worker of sync")
        shape = self._fanout.shapes.get(self._by_digest.get(definition.digest(), ""))
        if shape is None:
            self._by_digest.pop(definition.digest(), None)
        if shape is not None and shape.record.definition == definition:
            self._reads.asked_for(shape.record.handle, time.monotonic())
            return OpenReply(record=self._fanout.served(shape))
        if (errors := self._fanout.refusals.of(definition)) is not None:
            return OpenReply(errors=errors)
        task = self._under_way.get(definition)
        if task is None:
            task = asyncio.create_task(self._make_in_turn(request))
            self._under_way[definition] = task
            task.add_done_callback(lambda _: self._under_way.pop(definition, None))
        try:
            return OpenReply(record=await asyncio.shield(task))
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return OpenReply(unavailable="the term of this worker of sync ended; try again")
        except Refused as refusal:
            return OpenReply(errors=refusal.errors)
        except Exception as error:
            log.warning("shape not opened", table=definition.table, error=repr(error))
            return OpenReply(unavailable=str(error) or type(error).__name__)

    async def drop(self, request: DropRequest) -> DropReply:
        shape = self._fanout.shape(request.handle)
        if shape is None:
            return DropReply(dropped=False)
        await self._fanout.drop(shape, "asked for")
        return DropReply(dropped=True)

    def close(self) -> None:
        for task in (*self._tasks, *self._under_way.values()):
            task.cancel()

    async def _make_in_turn(self, request: OpenRequest) -> ShapeRecord:
        """A few of one table at a time: one that is locked does not take every connection."""
        definition = request.definition
        self._withheld.check("table", definition.schema_name, definition.table)
        turns = self._turns.setdefault((definition.schema_name, definition.table), asyncio.Semaphore(_OF_ONE_TABLE))
        async with turns:
            return await self._make(request)

    async def _make(self, request: OpenRequest) -> ShapeRecord:
        definition = request.definition
        async with self._pool.acquire() as connection:
            table = await self._describe(connection, definition)
            select_columns(table, definition)
            self._withheld.check_names(definition.where)
            clause = await analyse(connection, table, definition)
            await publication.publish(connection, table, self._settings)
            reads = clause[1].tables if clause[1] is not None else ()
            for one in reads:
                await self._publish(connection, one)
        await joining.announced(self._fanout)
        for _ in range(_SNAPSHOT_TRIES):
            session = await self._exports.session()
            shape = None
            try:
                unseen = self._fanout.unseen.now()
                with self._fanout.holds.holding({table.oid, *(one.oid for one in reads)}) as held:
                    looked = await self._look(session.connection, table, request, clause, unseen, held)
                if looked is not None:
                    shape, now = looked
                    # What was held may be older than the announced position: it is in the log before anybody can read.
                    await self._fanout.appends.flushed()
                    record = shape.record.whole()
                    revision = await claims.put(self._fanout.registry, self._slices, record)
                    self._by_digest[definition.digest()] = record.handle
                    self._reads.asked_for(record.handle, time.monotonic())
                    self._start(self._export(session, shape, now, revision))
                    return record
            except BaseException:
                if shape is not None:
                    self._fanout.remove(shape)
                await session.close()
                raise
            await session.close()
        raise Transient("no settled snapshot: transactions stay invisible after their commit; try again")

    async def _publish(self, connection: asyncpg.pool.PoolConnectionProxy, read: ClauseTable) -> None:
        """A table that a subquery reads is followed like any other. Raises Refused."""
        self._withheld.check("where", read.schema_name, read.name)
        try:
            table = await describe(connection, read.schema_name, read.name, self._settings.publication)
            await publication.publish(connection, table, self._settings)
        except Refused as refusal:
            raise Refused("where", *(text for texts in refusal.errors.values() for text in texts)) from refusal

    async def _describe(self, connection: asyncpg.pool.PoolConnectionProxy, definition: ShapeDefinition) -> Table:
        return await describe(connection, definition.schema_name, definition.table, self._settings.publication)

    async def _look(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        before: Table,
        request: OpenRequest,
        clause: tuple[Conditions | None, Predicate | None],
        unseen: tuple[int, ...],
        held: list[Incoming],
    ) -> tuple[LiveShape, Table] | None:
        """Take the snapshot and route the shape, of the table as it is then; None when the snapshot is older than what
        was fanned out."""
        definition = request.definition
        conditions, predicate = clause
        reads = predicate.tables if predicate is not None else ()
        try:
            locked = ", ".join((before.sql, *(source(one) for one in reads)))
            await connection.execute(f"LOCK TABLE {locked} IN ACCESS SHARE MODE")
        except asyncpg.UndefinedTableError as error:
            raise Transient(f"the table went away: {error}") from error
        moment = await connection.fetchrow(SQL["moment"])
        assert moment is not None
        seen = Snapshot.parse(moment["snapshot"])
        if not all(seen.sees(xid) for xid in unseen):
            return None
        self._fanout.unseen.shown(seen)
        table = await self._describe(connection, definition)
        if table.oid != before.oid or table.publication_entry is None or not table.full_identity:
            raise Transient("the table was replaced, or taken out of the publication, meanwhile; try again")
        if predicate is not None and not _still_there(predicate.columns, table):
            raise Transient("the table was altered meanwhile; try again")
        if predicate is not None and reads:
            tables = tuple([await self._now(connection, one) for one in reads])
            predicate = predicate.model_copy(update={"tables": tables, "partitioned": table.partitioned})
        columns = select_columns(table, definition)
        record = ShapeRecord(
            handle=f"{definition.digest()}-{time.time_ns() // 1000}",
            definition=definition,
            state="snapshotting",
            relation_oid=table.oid,
            publication_entry=table.publication_entry,
            columns=tuple(facts.column for facts in columns),
            protocol_schema=protocol_schema(columns),
            conditions=conditions,
            snapshot=(seen.xmin, seen.xmax, seen.xip),
            changes_id=self._fanout.changes_id,
            chunk_bytes=request.chunk_bytes,
            predicate=predicate,
            type_texts=await type_texts.of_columns(connection, (facts.column for facts in columns)),
            partitions=table.partitions,
            late_key=table.late_key,
        )
        shape = LiveShape(self._fanout.js, record)
        return (shape, table) if await joining.join(self._fanout, shape, held, moment) else None

    async def _now(self, connection: asyncpg.pool.PoolConnectionProxy, read: ClauseTable) -> ClauseTable:
        """A table that a subquery reads, as it is now. Raises Transient."""
        table = await describe(connection, read.schema_name, read.name, self._settings.publication)
        if table.oid != read.oid or table.publication_entry is None or not table.full_identity:
            raise Transient(f"table {read.name} was replaced, or taken out of the publication, meanwhile; try again")
        if table.primary_key != read.key or not _still_there(read.columns, table):
            raise Transient(f"table {read.name} was altered meanwhile; try again")
        return read.model_copy(update={"publication_entry": table.publication_entry, "partitioned": table.partitioned})

    def _start(self, export: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(export)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _export(self, session: Session, shape: LiveShape, table: Table, revision: int) -> None:
        """The rows into the stream, then the record says so; unless the shape was dropped meanwhile."""
        started = time.monotonic()
        record = shape.record.whole()
        try:
            ready, rows = await self._exports.export(session, shape, record, table)
            if record.handle not in self._fanout.shapes:
                return await self._fanout.registry.forget(record.handle)
            await self._fanout.registry.complete(ready, revision)
            shape.record = ready
            seconds = round(time.monotonic() - started, 3)
            tier = record.predicate.tier if record.predicate is not None else "whole"
            log.info("shape opened", handle=record.handle, table=shape.table, rows=rows, seconds=seconds, tier=tier)
        except Exception as error:
            log.warning("snapshot failed", handle=record.handle, table=shape.table, error=str(error) or repr(error))
            if (errors := _refusal(error, shape, session)) is not None:
                self._fanout.refusals.add(record.definition, errors)
            await self._fanout.drop(shape, "its snapshot failed")
        finally:
            await session.close()
        return None


def _still_there(named: Sequence[ClauseColumn], table: Table) -> bool:
    """Whether the clause's columns are what they were when it was analysed."""
    columns = {facts.column.name: (facts.column.type_oid, facts.column.modifier) for facts in table.columns}
    return all(columns.get(one.name) == (one.type_oid, one.modifier) for one in named)


def _refusal(error: Exception, shape: LiveShape, session: Session) -> dict[str, list[str]] | None:
    """What the next who ask for such a shape are told; None when it may be tried again at once."""
    if isinstance(error, Refused):
        return error.errors
    if shape.record.predicate is None or session.connection.is_closed() or not isinstance(error, asyncpg.PostgresError):
        return None
    return {"where": [error.message or str(error)]}
