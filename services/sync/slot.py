"""What Postgres says of the slot, now and then: how much it keeps for it, and whether that is about to end."""

import asyncio
from typing import NamedTuple

import asyncpg
import structlog

from medley.runtime.postgres import FAILURES
from services.sync.catalog import SQL

log = structlog.get_logger()

_INTERVAL = 5.0
_LOUD = {"unreserved", "lost"}


class SlotState(NamedTuple):
    """LSNs: up to where the log is written, from where it is kept for the slot, and what was confirmed."""

    written: int
    kept_from: int
    confirmed: int
    wal_status: str


class SlotWatch:
    """`state`: None before the first answer, and while Postgres does not answer."""

    def __init__(self, pool: asyncpg.Pool, slot: str) -> None:
        self._pool = pool
        self._slot = slot
        self.state: SlotState | None = None

    async def run(self) -> None:
        """Ends only by being cancelled."""
        while True:
            status = self.state.wal_status if self.state is not None else ""
            self.state = await self._read()
            if self.state is not None and self.state.wal_status in _LOUD - {status}:
                log.error(
                    "Postgres is about to drop what the slot needs: raise max_slot_wal_keep_size, or see what is slow",
                    slot=self._slot,
                    wal_status=self.state.wal_status,
                    kept_bytes=self.state.written - self.state.kept_from,
                )
            await asyncio.sleep(_INTERVAL)

    async def _read(self) -> SlotState | None:
        try:
            row = await self._pool.fetchrow(SQL["slot_state"], self._slot, timeout=_INTERVAL)
        except FAILURES:
            return None
        return SlotState(*row) if row is not None else None
