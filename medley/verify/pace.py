"""How fast one may go: so many of something in a second, and never a burst of more than a second's worth."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """`rate` a second; 0 means as fast as it goes."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._pause = pause
        self._due = clock()

    async def spend(self, amount: float) -> None:
        """Wait until what was spent before is paid for."""
        if not self._rate:
            return
        self._due = max(self._due, self._clock() - 1) + amount / self._rate
        if (early := self._due - self._clock()) > 0:
            await self._pause(early)
