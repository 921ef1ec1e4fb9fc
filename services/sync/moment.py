"""What one snapshot of the database shows of a table, and the records of shapes that begin there."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from medley.contracts.shapes import ClauseColumn, ClauseTable, ShapeRecord
from medley.runtime.errors import Transient
from medley.sql.visibility import Snapshot
from services.sync import type_texts
from services.sync.asked import Asked
from services.sync.catalog import SQL, describe
from services.sync.table import Table, protocol_schema, select_columns

Connection = asyncpg.pool.PoolConnectionProxy


@dataclass(frozen=True)
class Moment:
    connection: Connection
    publication: str
    table: Table
    seen: Snapshot
    row: asyncpg.Record
    """How far the database's log was written then, too."""

    @classmethod
    async def of(cls, connection: Connection, before: Table, publication: str) -> "Moment":
        """Of a locked table. Raises Transient when it is not the one any more that it was before."""
        row = await connection.fetchrow(SQL["moment"])
        assert row is not None
        table = await describe(connection, before.schema, before.name, publication)
        if table.oid != before.oid or table.publication_entry is None or not table.full_identity:
            raise Transient("the table was replaced, or taken out of the publication, meanwhile; try again")
        return cls(connection, publication, table, Snapshot.parse(row["snapshot"]), row)

    async def record(self, asked: Asked, changes_id: str) -> ShapeRecord:
        """Of a shape whose rows are not exported yet. Raises Refused, Transient."""
        table, request, predicate = self.table, asked.request, asked.predicate
        assert table.publication_entry is not None
        if predicate is not None and not _still_there(predicate.columns, table):
            raise Transient("the table was altered meanwhile; try again")
        if predicate is not None and predicate.tables:
            tables = tuple([await self._read(one) for one in predicate.tables])
            predicate = predicate.model_copy(update={"tables": tables, "partitioned": table.partitioned})
        columns = select_columns(table, request.definition)
        return ShapeRecord(
            handle=f"{request.definition.digest()}-{time.time_ns() // 1000}",
            definition=request.definition,
            state="snapshotting",
            relation_oid=table.oid,
            publication_entry=table.publication_entry,
            columns=tuple(facts.column for facts in columns),
            protocol_schema=protocol_schema(columns),
            conditions=asked.conditions,
            snapshot=(self.seen.xmin, self.seen.xmax, self.seen.xip),
            changes_id=changes_id,
            chunk_bytes=request.chunk_bytes,
            predicate=predicate,
            type_texts=await type_texts.of_columns(self.connection, (facts.column for facts in columns)),
            partitions=table.partitions,
            late_key=table.late_key,
        )

    async def _read(self, read: ClauseTable) -> ClauseTable:
        """A table that a subquery reads, as it is now. Raises Transient."""
        table = await describe(self.connection, read.schema_name, read.name, self.publication)
        if table.oid != read.oid or table.publication_entry is None or not table.full_identity:
            raise Transient(f"table {read.name} was replaced, or taken out of the publication, meanwhile; try again")
        if table.primary_key != read.key or not _still_there(read.columns, table):
            raise Transient(f"table {read.name} was altered meanwhile; try again")
        return read.model_copy(update={"publication_entry": table.publication_entry, "partitioned": table.partitioned})


def _still_there(named: Sequence[ClauseColumn], table: Table) -> bool:
    """Whether the clause's columns are what they were when it was analysed."""
    columns = {facts.column.name: (facts.column.type_oid, facts.column.modifier) for facts in table.columns}
    return all(columns.get(one.name) == (one.type_oid, one.modifier) for one in named)
