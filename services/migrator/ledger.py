"""The ledger `schema_versions`: which migrations this database has."""

import asyncpg

from medley.runtime import statements
from services.migrator.migrations import Migration

SQL = statements.load(__file__)


async def create(connection: asyncpg.Connection) -> None:
    await connection.execute(SQL["create_ledger"])


async def applied(connection: asyncpg.Connection) -> dict[str, str | None]:
    """Checksum by file name, oldest first."""
    return {row["filename"]: row["checksum"] for row in await connection.fetch(SQL["applied"])}


async def apply(connection: asyncpg.Connection, migration: Migration) -> None:
    """The migration and its row, in one transaction: both or neither."""
    async with connection.transaction():
        await connection.execute(migration.text)
        await connection.execute(SQL["record"], migration.filename, migration.checksum)


async def try_lock(connection: asyncpg.Connection) -> bool:
    """The session lock that one migrator holds for its whole run; the server drops it with the session."""
    return bool(await connection.fetchval(SQL["try_lock"]))


async def unlock(connection: asyncpg.Connection) -> None:
    await connection.execute(SQL["unlock"])
