"""A pooled connection inside one snapshot of the database."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import asyncpg

from medley.clauses.judge import RULES
from medley.runtime.postgres import FAILURES, GONE

# A table that somebody has locked keeps those waiting who ask for it, but not for long: connections are few.
_BEGIN = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'; {RULES}"
# An export takes as long as the table is large: limits that the database or the role has are meant for others.
_UNLIMITED = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
_BUSY = 0.25
_UNLIMITED_SINCE_17 = "SET LOCAL transaction_timeout = 0;"


class Session:
    """In a REPEATABLE READ transaction from `open` on; given back whatever state it is in."""

    def __init__(
        self, pool: asyncpg.Pool, places: asyncio.Semaphore, connection: asyncpg.pool.PoolConnectionProxy
    ) -> None:
        self._pool = pool
        self._places = places
        self.connection = connection
        self._turn = asyncio.Lock()
        self._shared: str | None = None

    @classmethod
    async def open(cls, pool: asyncpg.Pool, places: asyncio.Semaphore, shared: str | None = None) -> "Session":
        """`places`: for how many there is room in the pool, beside what they wait for. `shared`: a snapshot."""
        await places.acquire()
        try:
            connection = await pool.acquire()
            try:
                is_17 = connection.get_server_version().major >= 17
                sees = f"SET TRANSACTION SNAPSHOT '{shared}'" if shared is not None else ""
                await connection.execute(f"{_BEGIN}{_UNLIMITED}{_UNLIMITED_SINCE_17 if is_17 else ''}{sees}")
            except BaseException:
                await pool.release(connection)
                raise
        except BaseException:
            places.release()
            raise
        return cls(pool, places, connection)

    async def lock(self, tables: Iterable[str], *, shared: bool = False) -> None:
        """Against DDL, before the snapshot is taken; a question that fails can be forgotten. `shared`: others may see
        what this one sees, for as long as it is open."""
        await self.connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE")
        if shared:
            self._shared = await self.connection.fetchval("SELECT pg_export_snapshot()")
        await self.connection.execute("SAVEPOINT locked")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """For one question, one at a time: this connection or, when it is shared and busy for long, another one."""
        if await self._in_turn():
            try:
                yield self.connection
            except asyncpg.PostgresError:
                with suppress(*GONE):
                    await self.connection.execute("ROLLBACK TO SAVEPOINT locked")
                raise
            finally:
                self._turn.release()
        else:
            other = await Session.open(self._pool, self._places, self._shared)
            try:
                yield other.connection
            finally:
                await other.close()

    async def _in_turn(self) -> bool:
        """Whether it is; False after a while."""
        try:
            async with asyncio.timeout(_BUSY if self._shared is not None else None):
                return await self._turn.acquire()
        except TimeoutError:
            return False

    async def close(self) -> None:
        try:
            await self.connection.execute("ROLLBACK")
        except FAILURES:
            with suppress(asyncpg.InterfaceError):  # it may have been taken back with the server that went away
                self.connection.terminate()
        finally:
            self._places.release()
            await self._pool.release(self.connection)
