"""Stop openings of shapes around their snapshots, from outside.

An opening locks its table, takes its snapshot, and then reads the catalogue again. So a lock on the table stops it
before the snapshot, and one on a table of the catalogue after it: what is committed in between, the new shape must be
given.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import asyncpg

from tests.oracle.model import Transaction
from tests.oracle.outcomes import Tally
from tests.oracle.reader import Reader
from tests.oracle.writing import Connect, Writing, holds, written

_SECOND = "pg_catalog.pg_publication_rel"  # fan-out waits for it without harm, and writers need it only at first
_LOCK = "BEGIN; SET LOCAL lock_timeout = '1s'; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass)"
_WAITS_AFTER = (
    "SELECT EXISTS (SELECT FROM pg_locks w JOIN pg_locks h USING (pid) WHERE NOT w.granted AND h.granted"
    f" AND w.relation = '{_SECOND}'::regclass AND h.relation = $1::text::regclass)"
)
_HELD_SECONDS = 1.5  # for changes to arrive while openings are stopped


class Stall:
    """The openings of one table's shapes."""

    def __init__(self, connect: Connect, table: str, number: int, reader: Reader, tally: Tally) -> None:
        self._connect = connect
        self._table, self._number = table, number
        self._reader, self._tally = reader, tally

    async def play(self, openings: Coroutine[Any, Any, None], batch: tuple[Transaction, ...], writing: Writing) -> None:
        """Two transactions before the snapshots, which may see the later one alone; the others after these, and before
        the shapes are given what they lack."""
        first, second = await self._connect(), await self._connect()
        await writing.begin(batch)
        await first.execute(_LOCK.format(table=self._table))
        opening = asyncio.create_task(openings)
        try:
            apart = [one for one in batch if all(each.table != self._number for each in one.statements)][:2]
            if not await self._waits(first, _WAITS, opening) or len(apart) < 2:
                apart = []
            async with writing.overtaking(apart):
                stopped = await self._snapshot(first, second, opening)
            self._tally.outcomes[f"openings stopped after their snapshot: {stopped}"] += 1
            writes = asyncio.create_task(self._written([one for one in batch if one not in apart], writing, first))
            await asyncio.wait([writes], timeout=_HELD_SECONDS)
            self._tally.outcomes[f"changes arrived while openings were stopped: {writes.done()}"] += stopped
            await second.close()
            await writes
        finally:
            await second.close()
            await first.close()
            await opening

    async def _written(self, batch: list[Transaction], writing: Writing, session: asyncpg.Connection) -> None:
        await writing.all(batch)
        await self._reader.caught_up(await written(session))

    async def _snapshot(
        self, first: asyncpg.Connection, second: asyncpg.Connection, opening: asyncio.Task[None]
    ) -> bool:
        """Openings take their snapshots. Whether one is stopped again then."""
        try:
            await second.execute(_LOCK.format(table=_SECOND))
        except asyncpg.LockNotAvailableError:
            return False
        finally:
            await first.execute("ROLLBACK")
        return await self._waits(first, _WAITS_AFTER, opening)

    async def _waits(self, session: asyncpg.Connection, query: str, opening: asyncio.Task[None]) -> bool:
        async def waits() -> bool:
            return opening.done() or bool(await session.fetchval(query, self._table))

        return await holds(waits) and not opening.done()
