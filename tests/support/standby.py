"""A synchronous standby that is away: who waits for it has committed, and nobody sees it yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from medley.sql.quoting import quote_identifier
from tests.support.library import until

WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep')"
"""Whether the session of this process id has committed, and waits for the standby."""


@asynccontextmanager
async def standby(database: asyncpg.Connection, *, alone: bool) -> AsyncIterator[bool]:
    """A standby that never answers, which nobody waits for who does not say so. False where that cannot be had."""
    if not alone or not await database.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        yield False
        return
    await database.execute("SET synchronous_commit = local")
    name = quote_identifier(await database.fetchval("SELECT current_database()"))
    await database.execute(f"ALTER DATABASE {name} SET synchronous_commit = local")
    try:
        await _set_standby(database, "SET synchronous_standby_names = 'nobody'", "nobody")
        yield True
    finally:
        await _set_standby(database, "RESET synchronous_standby_names", "")


async def _set_standby(database: asyncpg.Connection, setting: str, wanted: str) -> None:
    await database.execute(f"ALTER SYSTEM {setting}")
    await database.execute("SELECT pg_reload_conf()")

    async def there() -> bool:
        return bool(await database.fetchval("SHOW synchronous_standby_names") == wanted)

    await until(there, "the setting is there")
