"""The publication and the slot: what must be true in Postgres before a change can be captured."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from medley.runtime.errors import ConfigurationError, Transient
from medley.sql.quoting import quote_identifier
from services.sync.catalog import SQL, describe
from services.sync.settings import SyncSettings
from services.sync.table import Refused, Table

log = structlog.get_logger()

_LOCK_TRIES = 5


async def prepare(
    pool: asyncpg.Pool,
    settings: SyncSettings,
    newest: Callable[[str], Awaitable[int | None]],
    start_afresh: Callable[[str], Awaitable[None]],
    begin: Callable[[], Awaitable[None]],
    *,
    forked: bool,
) -> None:
    """Make the publication with its first tables, then the slot: in this order, since a slot decodes with the
    catalogue of its time. One sync at a time.

    `newest(identity)` is the newest LSN that the streams hold of the database of this identity, None when they hold
    another one's changes. `start_afresh(identity)` forgets them: before a new slot, and when the database is another
    one, or one that was set back, than the streams know; `begin()` says that from here on nothing is lost. `forked`: it
    turned out that they hold another history.
    """
    async with pool.acquire() as connection:
        level = await connection.fetchval(SQL["wal_level"])
        if level != "logical":
            raise ConfigurationError(
                f"Postgres has wal_level = {level}, sync needs logical: set it in postgresql.conf and restart Postgres"
            )
        await connection.execute(SQL["lock"])
        try:
            await _ensure_publication(connection, settings)
            if await _ensure_slot(connection, settings, newest, start_afresh, forked):
                await begin()
        finally:
            await connection.execute(SQL["unlock"])


async def _ensure_publication(connection: asyncpg.pool.PoolConnectionProxy, settings: SyncSettings) -> None:
    name = quote_identifier(settings.publication)
    options = "publish_via_partition_root = true"
    if connection.get_server_version().major >= 18:
        # Else an UPDATE of a table with a stored generated column would fail under REPLICA IDENTITY FULL.
        options += ", publish_generated_columns = stored"
    found = await connection.fetchrow(SQL["publication"], settings.publication)
    if found is None:
        await connection.execute(f"CREATE PUBLICATION {name} WITH ({options})")
    elif not found["via_root"] or found["generated"] is False:
        await connection.execute(f"ALTER PUBLICATION {name} SET ({options})")
    for table in settings.published:
        try:
            await publish(connection, await describe(connection, "public", table, settings.publication), settings)
        except Refused as refusal:
            log.warning("a table of SYNC_PUBLISHED cannot be followed", table=table, reason=str(refusal))


async def _ensure_slot(
    connection: asyncpg.pool.PoolConnectionProxy,
    settings: SyncSettings,
    newest: Callable[[str], Awaitable[int | None]],
    start_afresh: Callable[[str], Awaitable[None]],
    forked: bool,
) -> bool:
    """Whether it is this sync's to lead."""
    slot = await connection.fetchrow(SQL["slot"], settings.slot)
    if slot is not None and slot["active"]:
        return False  # another sync leads; it has looked
    database = await connection.fetchrow(SQL["database"])
    assert database is not None
    held = await newest(database["identity"])
    reason = None
    if slot is None:
        reason = "there is no replication slot"
    elif slot["wal_status"] == "lost":
        reason = "the replication slot was invalidated"
    elif held is None:
        reason = "this is another database, or timeline, than the one that the streams were fed from"
    elif held > database["written"]:
        reason = "the database was set back behind what the streams hold"
    elif forked:
        reason = "the database was restored, and went on otherwise than the streams"
    if reason is None:
        return True
    log.log(logging.INFO if slot is None and held == 0 else logging.ERROR, "every shape starts afresh", reason=reason)
    if slot is not None:
        await connection.fetchval(SQL["drop_slot"], settings.slot)
    await start_afresh(database["identity"])
    await connection.fetchval(SQL["create_slot"], settings.slot)
    log.info("replication slot made", slot=settings.slot)
    return True


async def publish(connection: asyncpg.pool.PoolConnectionProxy, table: Table, settings: SyncSettings) -> None:
    """Old rows in full, and a place in the publication.

    Writers are locked out for the moment that it takes, so that no transaction is half inside; a busy table is
    tried again, for a waiting lock would stop everybody behind it. Raises Transient when it stays busy.
    """
    if table.published and table.full_identity:
        return
    if table.virtual:
        raise Refused(
            "table", f"{table.name} has virtual generated columns: once published, Postgres would refuse to update it"
        )
    for number in range(1, _LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{200 * number}ms'")
                await connection.execute(f"LOCK TABLE {table.sql} IN ACCESS EXCLUSIVE MODE")
                if not table.full_identity:
                    for member in await connection.fetch(SQL["members"], table.oid):
                        await connection.execute(f"ALTER TABLE ONLY {member['name']} REPLICA IDENTITY FULL")
                if not table.published:
                    publication = quote_identifier(settings.publication)
                    await connection.execute(f"ALTER PUBLICATION {publication} ADD TABLE {table.sql}")
            log.info("table published", table=f"{table.schema}.{table.name}")
            return
        except asyncpg.DuplicateObjectError:
            return  # another sync was faster
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.1 * number)
        except asyncpg.InsufficientPrivilegeError as error:
            raise Refused(
                "table", f"{table.name} cannot be followed: {error}. Let sync's role own the table."
            ) from error
        except (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.InvalidParameterValueError) as error:
            raise Refused("table", f"{table.name} cannot be followed: {error}") from error
    raise Transient(f"{table.name} stayed locked by a long transaction; try again when it has ended")
