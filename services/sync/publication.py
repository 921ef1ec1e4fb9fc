"""The publication and the slot: what must be true in Postgres before a change can be captured."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from medley.runtime.errors import ConfigurationError, Transient
from services.sync.catalog import SQL, describe
from services.sync.settings import SyncSettings
from services.sync.table import Refused, Table
from services.sync.where import quote_identifier

log = structlog.get_logger()

_LOCK_TRIES = 5


async def prepare(pool: asyncpg.Pool, settings: SyncSettings, before_new_slot: Callable[[], Awaitable[None]]) -> None:
    """Make the publication with its first tables, then the slot: in this order, since a slot decodes with the
    catalogue of its time. One sync at a time. `before_new_slot` forgets what an earlier slot had fed."""
    async with pool.acquire() as connection:
        level = await connection.fetchval(SQL["wal_level"])
        if level != "logical":
            raise ConfigurationError(
                f"Postgres has wal_level = {level}, sync needs logical: set it in postgresql.conf and restart Postgres"
            )
        await connection.execute(SQL["lock"])
        try:
            await _ensure_publication(connection, settings)
            await _ensure_slot(connection, settings, before_new_slot)
        finally:
            await connection.execute(SQL["unlock"])


async def _ensure_publication(connection: asyncpg.pool.PoolConnectionProxy, settings: SyncSettings) -> None:
    if not await connection.fetchval(SQL["publication"], settings.publication):
        await connection.execute(f"CREATE PUBLICATION {quote_identifier(settings.publication)}")
    for name in settings.published:
        try:
            await publish(connection, await describe(connection, "public", name, settings.publication), settings)
        except Refused as refusal:
            log.warning("a table of SYNC_PUBLISHED cannot be followed", table=name, reason=str(refusal))


async def _ensure_slot(
    connection: asyncpg.pool.PoolConnectionProxy,
    settings: SyncSettings,
    before_new_slot: Callable[[], Awaitable[None]],
) -> None:
    slot = await connection.fetchrow(SQL["slot"], settings.slot)
    if slot is not None and slot["wal_status"] == "lost" and not slot["active"]:
        log.error("the replication slot was invalidated: every shape starts afresh", slot=settings.slot)
        await connection.fetchval(SQL["drop_slot"], settings.slot)
        slot = None
    if slot is None:
        await before_new_slot()
        await connection.fetchval(SQL["create_slot"], settings.slot)
        log.info("replication slot made", slot=settings.slot)


async def publish(connection: asyncpg.pool.PoolConnectionProxy, table: Table, settings: SyncSettings) -> None:
    """Old rows in full, and a place in the publication.

    Writers are locked out for the moment that it takes, so that no transaction is half inside; a busy table is
    tried again, for a waiting lock would stop everybody behind it. Raises Transient when it stays busy.
    """
    if table.published and table.full_identity:
        return
    name = f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
    for number in range(1, _LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{200 * number}ms'")
                await connection.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
                if not table.full_identity:
                    await connection.execute(f"ALTER TABLE {name} REPLICA IDENTITY FULL")
                if not table.published:
                    publication = quote_identifier(settings.publication)
                    await connection.execute(f"ALTER PUBLICATION {publication} ADD TABLE {name}")
            log.info("table published", table=f"{table.schema}.{table.name}")
            return
        except asyncpg.DuplicateObjectError:
            return  # another sync was faster
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.1 * number)
        except asyncpg.InsufficientPrivilegeError as error:
            raise Refused("table", f"{name} cannot be followed: {error}. Let sync's role own the table.") from error
    raise Transient(f"{name} stayed locked by a long transaction; try again when it has ended")
