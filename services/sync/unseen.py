"""Transactions that were fanned out and that no snapshot has shown yet.

A commit reaches fan-out a moment before new snapshots see it; where a standby is waited for that is away, for as long
as that takes. A shape whose snapshot does not see it, and whose feeding began after it, would lack it for good. So
every new shape's snapshot must see what is in here, also after a restart: it is saved with the position.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import asyncpg

from medley.sql.visibility import Snapshot
from services.sync.catalog import SQL

_PATIENCE = 1.0


class Unseen:
    """`pool`: to look which of them can be seen by now."""

    def __init__(self, pool: asyncpg.Pool | None, xids: Iterable[int] = ()) -> None:
        self._pool = pool
        self._xids = dict.fromkeys(xids)

    def add(self, xid: int) -> None:
        self._xids[xid] = None

    def now(self) -> tuple[int, ...]:
        return tuple(self._xids)

    def shown(self, snapshot: Snapshot) -> None:
        """What one snapshot sees, every later one does."""
        self._xids = {xid: None for xid in self._xids if not snapshot.sees(xid)}

    async def left(self) -> tuple[int, ...]:
        """Those that a snapshot of this moment does not see; all, when Postgres does not say."""
        if self._pool is not None and self._xids:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(_PATIENCE):
                    row = await self._pool.fetchrow(SQL["moment"])
                    assert row is not None
                    self.shown(Snapshot.parse(row["snapshot"]))
        return self.now()
