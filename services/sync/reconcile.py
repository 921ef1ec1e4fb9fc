"""Look now and then whether the tables of open shapes are still what they were: not every DDL leaves a change."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import structlog

from medley.runtime.postgres import FAILURES
from services.sync import type_texts
from services.sync.catalog import SQL
from services.sync.fanout import Fanout
from services.sync.kept import Common
from services.sync.live import LiveShape
from services.sync.predicates.watch import altered_among
from services.sync.related.family import columns_of
from services.sync.settings import SyncSettings

log = structlog.get_logger()


async def watch(pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings) -> None:
    """Again and again; ends only by raising."""
    while True:
        await asyncio.sleep(settings.reconcile_interval)
        try:
            await look(pool, fanout, settings)
        except FAILURES as error:
            log.warning("tables not reconciled", error=repr(error))


async def look(pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings) -> None:
    """Drop the shapes whose table is gone, renamed, altered in a used column, or no longer published."""
    alike: dict[Common, list[LiveShape]] = defaultdict(list)
    for shape in fanout.shapes.values():
        alike[shape.record.common].append(shape)
    if not alike:
        return
    oids = sorted({oid for common in alike for oid in common.relations})
    tables = {row["oid"]: row for row in await pool.fetch(SQL["present"], oids, settings.publication)}
    altered = await altered_among(pool, alike)
    rewritten = await type_texts.altered_among(pool, alike)
    for common, shapes in alike.items():
        reason = why_not(common, tables)
        if reason is None and common in altered:
            reason = "what its clause stands on was altered"
        if reason is None and common in rewritten:
            reason = "a type of its columns was altered"
        if reason is not None:
            await _drop(fanout, shapes, reason)


async def end_shapes_of(fanout: Fanout, oid: int) -> None:
    """A table is about to come back into the publication: the shapes that it had, whoever feeds them, lack what was
    written meanwhile, and must not be given what comes after it."""
    for record in sorted(await fanout.registry.records(), key=lambda record: record.continued is None):
        read = record.predicate.tables if record.predicate is not None else ()
        if oid not in (record.relation_oid, *(table.oid for table in read)):
            continue
        shape = fanout.shape(record.handle)
        if shape is not None:
            await fanout.drop(shape, "its table was taken out of the publication")
        else:
            log.info("shape dropped", handle=record.handle, reason="its table was taken out of the publication")
            await fanout.registry.forget(record.handle)


async def _drop(fanout: Fanout, shapes: Iterable[LiveShape], reason: str) -> None:
    for shape in shapes:
        if shape.record.handle in fanout.shapes:
            await fanout.drop(shape, reason)


def why_not(common: Common, tables: Mapping[int, asyncpg.Record]) -> str | None:
    """Why a shape cannot go on with its tables as they are, by OID; None when it can. Pure."""
    return _fault(common, tables.get(common.record.relation_oid)) or _fault_of_read(common, tables)


def _fault(common: Common, row: asyncpg.Record | None) -> str | None:
    record = common.record
    if row is None:
        return "its table was dropped"
    if f"{row['schema_name']}.{row['table_name']}" != common.table:
        return "its table was renamed"
    if row["followed_as"] is not None:
        return f"its table is followed as a part of {row['followed_as']} now"
    if row["publication_entry"] != record.publication_entry:
        return "its table was taken out of the publication"
    if not row["full_identity"]:
        return "its table lost REPLICA IDENTITY FULL"
    if not common.fits(record.relation_oid, _columns(row)):
        return "its table has other columns now"
    if not {column.name for column in record.columns if column.not_null} <= set(row["not_null"] or ()):
        return "a column may be NULL now that could not be"
    keyed = sorted((c.pk_index, c.name) for c in record.columns if c.pk_index is not None)
    if [name for _, name in keyed] != list(row["primary_key"] or ()):
        return "its table has another primary key now"
    if row["partitions"] != record.partitions:
        return "a partition came or went, or has another file: it may have been emptied"
    if row["late_key"] != record.late_key:
        return "its primary key is checked at another time now"
    return None


def _fault_of_read(common: Common, tables: Mapping[int, asyncpg.Record]) -> str | None:
    """The same of the tables that its subqueries read."""
    for table in common.tables:
        row = tables.get(table.oid)
        if row is None or (row["schema_name"], row["table_name"]) != (table.schema_name, table.name):
            return f"table {table.name} was dropped or renamed"
        if row["publication_entry"] != table.publication_entry or not row["full_identity"] or row["followed_as"]:
            return f"table {table.name} was taken out of the publication, or lost REPLICA IDENTITY FULL"
        now = {(name, type_oid, modifier) for name, type_oid, modifier in _columns(row)}
        if not columns_of(table) <= now or tuple(row["primary_key"] or ()) != table.key:
            return f"table {table.name} has other columns now, or another primary key"
    return None


def _columns(row: asyncpg.Record) -> list[list[Any]]:
    columns = []
    for text in row["columns"] or ():
        name, type_oid, modifier = text.rsplit(" ", 2)
        columns.append([name, int(type_oid), int(modifier)])
    return columns
