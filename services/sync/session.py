"""A pooled connection inside one snapshot of the database."""

import asyncpg

from medley.clauses.judge import RULES
from medley.runtime.postgres import FAILURES

# A table that somebody has locked keeps those waiting who ask for it, but not for long: connections are few.
_BEGIN = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'; {RULES}"


class Session:
    """In a REPEATABLE READ transaction from `open` on; given back whatever state it is in."""

    def __init__(self, pool: asyncpg.Pool, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        self._pool = pool
        self.connection = connection

    @classmethod
    async def open(cls, pool: asyncpg.Pool) -> "Session":
        connection = await pool.acquire()
        try:
            await connection.execute(_BEGIN)
        except BaseException:
            await pool.release(connection)
            raise
        return cls(pool, connection)

    async def close(self) -> None:
        try:
            await self.connection.execute("ROLLBACK")
        except FAILURES:
            self.connection.terminate()
        finally:
            await self._pool.release(self.connection)
