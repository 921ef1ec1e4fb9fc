"""A pooled connection inside one snapshot of the database."""

import asyncio
from contextlib import suppress

import asyncpg

from medley.clauses.judge import RULES
from medley.runtime.postgres import FAILURES

# A table that somebody has locked keeps those waiting who ask for it, but not for long: connections are few.
_BEGIN = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'; {RULES}"
# An export takes as long as the table is large: limits that the database or the role has are meant for others.
_UNLIMITED = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
_UNLIMITED_SINCE_17 = "SET LOCAL transaction_timeout = 0;"


class Session:
    """In a REPEATABLE READ transaction from `open` on; given back whatever state it is in."""

    def __init__(
        self, pool: asyncpg.Pool, places: asyncio.Semaphore, connection: asyncpg.pool.PoolConnectionProxy
    ) -> None:
        self._pool = pool
        self._places = places
        self.connection = connection

    @classmethod
    async def open(cls, pool: asyncpg.Pool, places: asyncio.Semaphore) -> "Session":
        """`places`: for how many there is room in the pool, beside what they wait for."""
        await places.acquire()
        try:
            connection = await pool.acquire()
            try:
                is_17 = connection.get_server_version().major >= 17
                await connection.execute(f"{_BEGIN}{_UNLIMITED}{_UNLIMITED_SINCE_17 if is_17 else ''}")
            except BaseException:
                await pool.release(connection)
                raise
        except BaseException:
            places.release()
            raise
        return cls(pool, places, connection)

    async def close(self) -> None:
        try:
            await self.connection.execute("ROLLBACK")
        except FAILURES:
            with suppress(asyncpg.InterfaceError):  # it may have been taken back with the server that went away
                self.connection.terminate()
        finally:
            self._places.release()
            await self._pool.release(self.connection)
