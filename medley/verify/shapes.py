"""Compares each shape with its table, at one and the same moment of a live system.

A snapshot of Postgres is taken first; when sync has announced the log up to it, every entry whose transaction the
snapshot sees is in the stream. Those are played, and compared with what SELECT says in that snapshot. What differs is
looked at a second time with another snapshot, and told only when it differs again: so a shape that ends meanwhile, or a
transaction that was shown halfway, is no difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg
import orjson
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from nats.js.kv import KeyValue

from medley.contracts import streams, subjects
from medley.contracts.generations import grouped
from medley.contracts.row_key import RowKey
from medley.contracts.shapes import ShapeRecord
from medley.runtime import buckets
from medley.verify import reading
from medley.verify.announced import Announced
from medley.verify.chain import REMEDY, Chain, Parts
from medley.verify.database import Database, Relation
from medley.verify.findings import Finding, Tally
from medley.verify.held import Held
from medley.verify.pace import Pace
from medley.verify.replay import Replay, Unsettled
from medley.verify.rows import Comparison, selected

_LOOKS = 10


class Gone(Exception):
    """The shape ended while it was looked at: there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """`step`: told now and then how many rows and entries were looked at."""

    js: JetStreamContext
    registry: KeyValue
    database: Database
    announced: Announced
    pace: Pace
    step: Callable[[int], None]

    async def records(self) -> list[ShapeRecord]:
        """In the order of their handles; of each shape the generation that clients are given."""
        found = await buckets.entries(self.js, streams.SHAPES_BUCKET)
        shapes = grouped(ShapeRecord.model_validate_json(text) for text in found.values())
        return sorted((shape.served for shape in shapes), key=lambda record: record.handle)

    async def verify(self, record: ShapeRecord) -> list[Finding]:
        """Raises Gone, and Unavailable when sync, the bus or Postgres does not answer."""
        while True:
            findings = await self._verify(record)
            if not findings:
                return []
            # A generation that is superseded meanwhile may lose its snapshot.
            now = [one for one in await self.records() if one.log == record.log]
            if now in ([], [record]):
                return findings
            record = now[0]

    async def _verify(self, record: ShapeRecord) -> list[Finding]:
        record = await self._now(record)
        first = await self._look(record)
        if not first:
            return []
        record = await self._now(record)
        both = first.confirmed(await self._look(record))
        await self._now(record)
        return both.findings()

    async def _now(self, record: ShapeRecord) -> ShapeRecord:
        """Raises Gone, also while its rows are still exported."""
        try:
            found = ShapeRecord.model_validate_json((await self.registry.get(record.handle)).value or b"")
        except NotFoundError as error:
            raise Gone from error
        if found.state != "ready":
            raise Gone
        return found

    async def _look(self, record: ShapeRecord) -> Tally:
        """Once, with a snapshot that does not lie in the middle of something."""
        for _ in range(_LOOKS):
            try:
                return await self._once(record)
            except Unsettled as error:
                unsettled = error
            except asyncpg.PostgresError as error:
                if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.OperatorInterventionError):
                    raise
                return _unreadable(record, str(error))
        return _unreadable(record, str(unsettled))

    async def _once(self, record: ShapeRecord) -> Tally:
        tally = Tally()
        async with self.database.moment() as (seen, written):
            await self.announced.reaches(written - 1, record.handle)
            relation = await self.database.relation(record.relation_oid)
            if relation is None:
                return _unreadable(record, "its table is gone")
            with Held([column.name for column in record.columns]) as held:
                await self._play(record, Replay(record, seen, held), written, tally)
                if record.definition.log == "full":
                    await self._compare(record, relation, held, tally)
        return tally

    async def _play(self, record: ShapeRecord, replay: Replay, written: int, tally: Tally) -> None:
        parts, chain = Parts(record.handle), Chain(record.handle, written, record.snapshot_end)
        of = subjects.shape_snapshot(record.handle)
        upto = await reading.newest(self.js, streams.SHAPES.name, of)
        async for message in reading.messages(self.js, streams.SHAPES.name, of, upto):
            tally.all(parts.message(message.headers))
            entries = orjson.loads(message.payload)
            for entry in entries:
                tally.all(replay.row(entry))
            await self._counted(len(entries))
        tally.all(parts.finish())
        of = subjects.shape_log(record.log)
        upto = await reading.newest(self.js, streams.SHAPES.name, of)
        async for message in reading.messages(self.js, streams.SHAPES.name, of, upto):
            entries = orjson.loads(message.payload)
            tally.all(chain.message(message.headers, entries))
            for entry in entries:
                tally.all(replay.entry(entry))
            await self._counted(len(entries))
        tally.all(chain.finish())

    async def _counted(self, rows: int) -> None:
        self.step(rows)
        await self.pace.spend(rows)

    async def _compare(self, record: ShapeRecord, relation: Relation, held: Held, tally: Tally) -> None:
        definition = record.definition
        key = RowKey(definition.schema_name, definition.table, record.columns)
        comparison = Comparison("shape", record.handle, key, record.columns, held, REMEDY)
        where = record.predicate.sql if record.predicate is not None else None
        async for rows in self.database.rows(selected(relation.sql, relation.name, record.columns, where)):
            for row in rows:
                tally.all(comparison.row(row))
            await self._counted(len(rows))
        tally.all(comparison.finish())


def _unreadable(record: ShapeRecord, why: str) -> Tally:
    tally = Tally()
    tally.add(Finding("shape", "unreadable", record.handle, "", why, "its rows", REMEDY))
    return tally


def wanted(records: Sequence[ShapeRecord], handle: str | None, table: str | None) -> list[ShapeRecord]:
    """Those of a handle, or of a table (`songs`, `public.songs`); all of them without either. Pure."""

    def named(record: ShapeRecord) -> bool:
        own = record.definition
        return table in (None, own.table, f"{own.schema_name}.{own.table}")

    return [record for record in records if handle in (None, record.handle, record.log) and named(record)]
