"""Open a shape: find it, or make it so that no change is lost and none is seen twice (design decision 6).

The order: publish the table → hold its changes → lock the table against DDL → take the snapshot → describe the table
in it → route the shape, giving it what was held and the snapshot does not see → record it → export the rows.

A transaction can reach fan-out a moment before new snapshots see it. So a snapshot that does not see one of the
transactions that were fanned out before the hold began is thrown away, and another taken.
"""

import asyncio
import time

import asyncpg
import structlog

from medley.contracts.shapes import DropReply, DropRequest, OpenReply, OpenRequest, ShapeDefinition, ShapeRecord
from medley.runtime.errors import Transient
from services.sync import publication, snapshot
from services.sync.catalog import SQL, describe
from services.sync.entries import Rotate
from services.sync.fanout import Fanout
from services.sync.live import Incoming, LiveShape
from services.sync.settings import SyncSettings
from services.sync.table import Refused, Table, protocol_schema, select_columns
from services.sync.visibility import Snapshot
from services.sync.where import Equality, check_type, parse, quote_identifier

log = structlog.get_logger()

_SNAPSHOT_TRIES = 20


class Openings:
    """Opens shapes for one fan-out; requests for one definition share one opening."""

    def __init__(self, pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings) -> None:
        self._pool = pool
        self._fanout = fanout
        self._settings = settings
        self._by_definition = {shape.record.definition: shape.record for shape in fanout.shapes.values()}
        self._under_way: dict[ShapeDefinition, asyncio.Task[ShapeRecord]] = {}
        self._exports = asyncio.Semaphore(settings.exports)
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, request: OpenRequest) -> OpenReply:
        """The shape's record, once its changes are being logged; its rows may still be on their way."""
        definition = request.definition
        record = self._by_definition.get(definition)
        if record is not None and record.handle in self._fanout.shapes:
            return OpenReply(record=self._fanout.shapes[record.handle].record)
        task = self._under_way.get(definition)
        if task is None:
            task = asyncio.create_task(self._make(definition))
            self._under_way[definition] = task
            task.add_done_callback(lambda _: self._under_way.pop(definition, None))
        try:
            return OpenReply(record=await asyncio.shield(task))
        except Refused as refusal:
            return OpenReply(errors=refusal.errors)
        except (Transient, Rotate, asyncpg.PostgresError, OSError) as error:
            log.warning("shape not opened", table=definition.table, error=repr(error))
            return OpenReply(unavailable=str(error) or type(error).__name__)

    async def drop(self, request: DropRequest) -> DropReply:
        shape = self._fanout.shapes.get(request.handle)
        if shape is None:
            return DropReply(dropped=False)
        await self._fanout.drop(shape, "asked for")
        return DropReply(dropped=True)

    def close(self) -> None:
        for task in (*self._tasks, *self._under_way.values()):
            task.cancel()

    async def _make(self, definition: ShapeDefinition) -> ShapeRecord:
        schema, name = definition.schema_name, definition.table
        equalities = parse(definition.where, definition.params) if definition.where else []
        async with self._pool.acquire() as connection:
            table = await describe(connection, schema, name, self._settings.publication)
            select_columns(table, definition)
            await self._check(connection, table, equalities)
            await publication.publish(connection, table, self._settings)
        for _ in range(_SNAPSHOT_TRIES):
            connection = await self._pool.acquire()
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            shape = None
            try:
                recent = self._fanout.recent()
                with self._fanout.holding((schema, name)) as held:
                    shape = await self._look(connection, definition, equalities, recent, held)
                if shape is not None:
                    await self._fanout.registry.put(shape.record)
                    self._by_definition[definition] = shape.record
                    self._start_export(connection, shape, equalities)
                    return shape.record
            except BaseException:
                if shape is not None:
                    self._fanout.remove(shape)
                await self._pool.release(connection)
                raise
            await self._pool.release(connection)
        raise Transient("no settled snapshot: transactions stay invisible after their commit; try again")

    async def _look(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        definition: ShapeDefinition,
        equalities: list[Equality],
        recent: tuple[int, ...],
        held: list[Incoming],
    ) -> LiveShape | None:
        """Take the snapshot and route the shape; None when the snapshot is older than what was fanned out."""
        schema, name = definition.schema_name, definition.table
        try:
            await connection.execute(
                f"LOCK TABLE {quote_identifier(schema)}.{quote_identifier(name)} IN ACCESS SHARE MODE"
            )
        except asyncpg.UndefinedTableError as error:
            raise Transient(f"the table went away: {error}") from error
        seen = Snapshot.parse(await connection.fetchval(SQL["snapshot"]))
        if not all(seen.sees(xid) for xid in recent):
            return None
        table = await describe(connection, schema, name, self._settings.publication)
        if not (table.published and table.full_identity):
            raise Transient("the table was taken out of the publication meanwhile; try again")
        conditions = await self._conditions(connection, table, equalities) if equalities else None
        columns = select_columns(table, definition)
        record = ShapeRecord(
            handle=f"{definition.digest()}-{time.time_ns() // 1000}",
            definition=definition,
            state="snapshotting",
            relation_oid=table.oid,
            columns=tuple(facts.column for facts in columns),
            protocol_schema=protocol_schema(columns),
            conditions=conditions,
            snapshot=(seen.xmin, seen.xmax, seen.xip),
            changes_id=self._fanout.changes_id,
        )
        shape = LiveShape(self._fanout.js, record)
        self._fanout.catch_up(shape, held)
        self._fanout.add(shape)
        return shape

    async def _check(
        self, connection: asyncpg.pool.PoolConnectionProxy, table: Table, equalities: list[Equality]
    ) -> None:
        """Let Postgres judge the clause as a whole. Raises Refused with its words."""
        if not equalities:
            return
        columns = {facts.column.name: facts for facts in table.columns}
        for equality in equalities:
            check_type(columns, equality)
        name = f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
        clause = " AND ".join(equality.sql for equality in equalities)
        try:
            await connection.execute(f"EXPLAIN SELECT 1 FROM {name} WHERE {clause}")
        except (asyncpg.DataError, asyncpg.SyntaxOrAccessError) as error:
            raise Refused("where", str(error)) from error

    async def _conditions(
        self, connection: asyncpg.pool.PoolConnectionProxy, table: Table, equalities: list[Equality]
    ) -> tuple[tuple[str, str, str], ...]:
        """Each constant as Postgres writes it in the column's type."""
        columns = {facts.column.name: facts for facts in table.columns}
        conditions = []
        for equality in equalities:
            facts = check_type(columns, equality)
            try:
                text = await connection.fetchval(
                    f"SELECT pg_catalog.concat(($1::text)::{facts.type_sql})", equality.constant
                )
            except asyncpg.DataError as error:
                raise Refused("where", str(error)) from error
            conditions.append((equality.column, facts.type_name, text))
        return tuple(conditions)

    def _start_export(
        self, connection: asyncpg.pool.PoolConnectionProxy, shape: LiveShape, equalities: list[Equality]
    ) -> None:
        task = asyncio.create_task(self._export(connection, shape, equalities))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _export(
        self, connection: asyncpg.pool.PoolConnectionProxy, shape: LiveShape, equalities: list[Equality]
    ) -> None:
        started = time.monotonic()
        record = shape.record
        try:
            async with self._exports:
                rows = await snapshot.export(connection, self._fanout.js, record, equalities, shape.encoder)
            shape.record = record.model_copy(update={"state": "ready"})
            await self._fanout.registry.put(shape.record)
            seconds = round(time.monotonic() - started, 3)
            log.info("shape opened", handle=record.handle, table=".".join(shape.table), rows=rows, seconds=seconds)
        except Exception as error:
            log.warning("snapshot failed", handle=record.handle, error=repr(error))
            await self._fanout.drop(shape, "its snapshot failed")
        finally:
            await self._pool.release(connection)
