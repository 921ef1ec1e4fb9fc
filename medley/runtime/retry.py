"""Backoff: one policy for everything that waits for a server."""

import asyncio
import random
import time
from collections.abc import AsyncIterator


async def attempts(within: float, first: float = 0.05, most: float = 2.0) -> AsyncIterator[int]:
    """Count 1, 2, 3, … with full-jitter exponential pauses between, until `within` seconds have passed.

    At least one attempt is always made; after the last the loop simply ends.
    """
    deadline = time.monotonic() + within
    pause = first
    number = 1
    while True:
        yield number
        left = deadline - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter, not a secret
        pause = min(most, pause * 2)
        number += 1
