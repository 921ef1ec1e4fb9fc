"""Long work in pieces: acks, heartbeats and the rest of sync get their turn in between, also on a busy machine."""

import asyncio
import time

_SECONDS = 0.02


class Turns:
    """For one loop. `await taken()` between two pieces of work gives way when they have taken long."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def taken(self) -> None:
        if time.monotonic() - self._since > _SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()
