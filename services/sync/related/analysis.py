"""Read a clause with subqueries: what Postgres makes of it, and the tables that have to be followed for it."""

from collections.abc import Collection, Sequence

import asyncpg

from medley.clauses import objects
from medley.clauses.judge import Scope, UsableColumn
from medley.clauses.refusal import Refusal
from medley.clauses.subqueries import ReadTable, related
from medley.clauses.text import Clause
from medley.contracts.shapes import ClauseColumn, ClauseObject, ClauseTable, Predicate, ShapeDefinition
from services.sync.catalog import SQL
from services.sync.related.conditions import shown
from services.sync.table import Table, select_columns

Connection = asyncpg.pool.PoolConnectionProxy


async def with_subqueries(
    connection: Connection, table: Table, clause: Clause, definition: ShapeDefinition, columns: Sequence[ClauseColumn]
) -> Predicate:
    """Raises Refusal, Transient. The tables' places in the publication are still to be found."""
    scope = Scope(table.oid, table.name, tuple(UsableColumn(column.name, column.type_sql) for column in columns))
    found = await related(connection, scope, table.schema, table.partitioned, clause, definition.params)
    needed = {facts.column.name for facts in select_columns(table, definition)} | found.columns
    for one in found.tables:
        if one.oid == table.oid:
            needed |= one.columns
    own = tuple(column for column in columns if column.name in needed)
    tables = [await _read_table(connection, one, table, own, clause) for one in found.tables]
    stands_on = dict(found.objects)
    collated = {table.oid, *(one.oid for one in found.tables)}
    stands_on.update(await objects.versions(connection, [("table", oid) for oid in sorted(collated)]))
    return Predicate(
        sql=found.sql,
        columns=own,
        objects=tuple(ClauseObject(kind=kind, oid=oid, version=text) for (kind, oid), text in stands_on.items()),
        index=shown(found.sql, table.name, own, tables),
        tables=tuple(tables),
    )


async def _read_table(
    connection: Connection, read: ReadTable, own: Table, own_columns: tuple[ClauseColumn, ...], clause: Clause
) -> ClauseTable:
    """The columns that are read, and the primary key's: by that a row is known."""
    key, columns = own.primary_key, own_columns
    if read.oid != own.oid:
        async with connection.transaction():
            await connection.execute("SET LOCAL search_path = pg_catalog")
            every = [ClauseColumn(**row) for row in await connection.fetch(SQL["clause_columns"], read.oid)]
        row = await connection.fetchrow(SQL["present"], [read.oid], "")
        key = tuple(row["primary_key"] or ()) if row is not None else ()
        columns = _used(every, {*read.columns, *key})
        if missing := read.columns - {column.name for column in columns}:
            name = sorted(missing)[0]
            raise Refusal(clause.field, f"{read.name}.{name} is a generated column: its values are not in the log")
    return ClauseTable(
        oid=read.oid,
        schema_name=read.schema,
        name=read.name,
        partitioned=False,
        publication_entry=0,
        columns=columns,
        key=key,
    )


def _used(every: Sequence[ClauseColumn], names: Collection[str]) -> tuple[ClauseColumn, ...]:
    """One at least: a row of none has no image."""
    return tuple(column for column in every if column.name in names) or tuple(every[:1])
