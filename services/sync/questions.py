"""One session of a pool, kept for questions that are asked again and again, with their plans."""

import contextlib
from collections.abc import Sequence
from typing import Any

import asyncpg

from medley.runtime.postgres import is_closed

# One plan for a statement that is asked again and again; compiling it would cost more than it saves.
_SETTINGS = "SET jit = off; SET plan_cache_mode = force_generic_plan; SET statement_timeout = {ms:.0f};"
_PREPARED = 200


class Questions:
    """`seconds` is the budget of one question; `settings` are further ones of the session."""

    def __init__(self, pool: asyncpg.Pool, seconds: float, settings: str = "") -> None:
        self._pool = pool
        self._seconds = seconds
        self._settings = settings
        self._connection: asyncpg.pool.PoolConnectionProxy | None = None
        self._prepared: dict[str, asyncpg.prepared_stmt.PreparedStatement[Any]] = {}

    async def session(self) -> asyncpg.pool.PoolConnectionProxy:
        """The session; a new one when it went away. Raises what the pool raises."""
        if self.lost():
            await self.close()
        if self._connection is None:
            connection = await self._pool.acquire()
            self._connection = connection
            await connection.execute(_SETTINGS.format(ms=self._seconds * 1000) + self._settings)
        return self._connection

    def lost(self) -> bool:
        """Whether the session went away under a question."""
        return self._connection is not None and is_closed(self._connection)

    async def ask(
        self, sql: str, values: Sequence[Any], within: asyncpg.pool.PoolConnectionProxy | None = None
    ) -> list[asyncpg.Record]:
        """`within`: the session in whose transaction it must be asked. Raises what Postgres says, also when the
        question took too long."""
        connection = await self.session()
        if within is not None and connection is not within:
            raise asyncpg.ConnectionDoesNotExistError("the session went away, and with it the snapshot")
        statement = self._prepared.pop(sql, None)
        if statement is None:
            statement = await connection.prepare(sql)
        self._prepared[sql] = statement
        while len(self._prepared) > _PREPARED:
            del self._prepared[next(iter(self._prepared))]
        rows: list[asyncpg.Record] = await statement.fetch(*values, timeout=self._seconds + 30)
        return rows

    async def close(self) -> None:
        """Give the session back, whatever state it is in."""
        connection, self._connection = self._connection, None
        self._prepared.clear()
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.terminate()
                await self._pool.release(connection)
