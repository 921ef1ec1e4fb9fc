"""Look now and then whether the tables of open shapes are still what they were: not every DDL leaves a change."""

import asyncio

import asyncpg
import structlog

from services.sync.catalog import SQL
from services.sync.fanout import Fanout
from services.sync.live import LiveShape
from services.sync.settings import SyncSettings

log = structlog.get_logger()


async def watch(pool: asyncpg.Pool, fanout: Fanout, settings: SyncSettings) -> None:
    """Drop the shapes whose table is gone, renamed, altered in a used column, or no longer published."""
    while True:
        await asyncio.sleep(settings.reconcile_interval)
        shapes = list(fanout.shapes.values())
        if not shapes:
            continue
        oids = sorted({shape.record.relation_oid for shape in shapes})
        try:
            rows = await pool.fetch(SQL["present"], oids, settings.publication)
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            log.warning("tables not reconciled", error=repr(error))
            continue
        tables = {row["oid"]: row for row in rows}
        for shape in shapes:
            reason = fault(shape, tables.get(shape.record.relation_oid))
            if reason and shape.record.handle in fanout.shapes:
                await fanout.drop(shape, reason)


def fault(shape: LiveShape, row: asyncpg.Record | None) -> str | None:
    """Why the shape cannot go on; None when it can. Pure."""
    if row is None:
        return "its table was dropped"
    if (row["schema_name"], row["table_name"]) != shape.table:
        return "its table was renamed"
    if not row["published"]:
        return "its table was taken out of the publication"
    if row["identity"] != "f":
        return "its table lost REPLICA IDENTITY FULL"
    columns = []
    for text in row["columns"] or ():
        name, type_oid, modifier = text.rsplit(" ", 2)
        columns.append([name, int(type_oid), int(modifier)])
    if not shape.fits(shape.record.relation_oid, columns):
        return "its table has other columns now"
    return None
