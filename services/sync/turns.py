"""Long work in pieces: acks, heartbeats and the rest of sync get their turn in between, also on a busy machine."""

import asyncio
import time

_SECONDS = 0.02


class Turns:
    """For one loop. Between two pieces of work, when `due`: `await taken()` gives way."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Others had their turn."""
        self._since = time.monotonic()

    @property
    def due(self) -> bool:
        return time.monotonic() - self._since > _SECONDS

    async def taken(self) -> None:
        await asyncio.sleep(0)
        self.begin()
