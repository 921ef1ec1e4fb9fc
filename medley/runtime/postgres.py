"""The connection pool, with the session settings that make text output one and the same everywhere."""

from typing import Any
from urllib.parse import urlsplit

import asyncpg
import structlog

from medley.runtime.errors import ConfigurationError, Unavailable
from medley.runtime.retry import attempts
from medley.runtime.settings import PostgresSettings

log = structlog.get_logger()

# The shape protocol's text forms (protocol section 3); on every session that reads rows for clients.
SESSION = {
    "bytea_output": "hex",
    "DateStyle": "ISO, DMY",
    "TimeZone": "UTC",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
}

# Whatever asyncpg raises when a server goes away under a session; the last one is its own confusion about that.
FAILURES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# Of these, what the server says when the session is gone: nobody knows whether its last COMMIT arrived.
SESSION_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
# The same, and what the driver says: the server failed, or the way to it, and not the statement.
GONE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TooManyConnectionsError,
    *SESSION_GONE,
)
_NOT_YET = (OSError, TimeoutError, asyncpg.TooManyConnectionsError, *SESSION_GONE)


def shown(dsn: str) -> str:
    """The address without its password, for messages."""
    parts = urlsplit(dsn)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


async def connect(
    dsn: str, wait_seconds: float, application: str, statement_cache: int = 100, **extra: str
) -> asyncpg.Connection:
    """One session; waits for a server that is starting. `statement_cache` 0: it prepares nothing by name.

    Raises Unavailable after `wait_seconds`, ConfigurationError when the server refuses us.
    """
    last: Exception | None = None
    async for number in attempts(wait_seconds):
        try:
            return await asyncpg.connect(
                dsn,
                timeout=10,
                statement_cache_size=statement_cache,
                server_settings={**SESSION, "application_name": application, **extra},
            )
        except _NOT_YET as error:
            last = error
            if number == 4:
                log.info("waiting for postgres", address=shown(dsn), reason=str(error) or type(error).__name__)
        except (asyncpg.PostgresError, ValueError) as error:
            raise ConfigurationError(
                f"Postgres at {shown(dsn)} refused the connection: {error}. Check POSTGRES_DSN."
            ) from error
    raise Unavailable(
        f"no Postgres at {shown(dsn)} within {wait_seconds:g} s ({last}). Start it, or correct POSTGRES_DSN."
    )


def is_closed(connection: Any) -> bool:
    """Whether a pool's connection went away; the pool may have taken it back already, which the driver complains of."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def open_pool(settings: PostgresSettings, application: str) -> asyncpg.Pool:
    """A pool, once the server answers. Raises what `connect` raises."""
    dsn = settings.dsn.get_secret_value()
    last: Exception | None = None
    async for _ in attempts(settings.wait_seconds):
        connection = await connect(dsn, settings.wait_seconds, application)
        try:
            await connection.close()
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=settings.pool_size,
                command_timeout=60,
                server_settings={**SESSION, "application_name": application},
            )
        except _NOT_YET as error:  # it went away again
            last = error
    raise Unavailable(f"no Postgres at {shown(dsn)} that stays within {settings.wait_seconds:g} s ({last})")
