"""Rows of a query as COPY writes them in its text format, however many there are, in little memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

_DEADLINE = 24 * 3600.0


async def lines(connection: Any, query: str) -> AsyncIterator[list[str]]:
    """As many at a time as have arrived; the server is held back while the reader is busy. Raises what COPY raises."""
    blocks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)

    async def copy() -> None:
        try:
            await connection.copy_from_query(query, output=blocks.put, format="text", timeout=_DEADLINE)
        finally:
            await blocks.put(None)

    task = asyncio.create_task(copy())
    try:
        rest = b""
        while (block := await blocks.get()) is not None:
            *whole, rest = (rest + block).split(b"\n")
            if whole:
                yield [str(line, "utf-8") for line in whole]
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
