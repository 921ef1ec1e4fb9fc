"""Rows of a query as COPY writes them in its text format, however many there are, in little memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

_DEADLINE = 24 * 3600.0


async def lines(connection: Any, query: str) -> AsyncIterator[list[str]]:
    """As many at a time as have arrived. Raises what COPY raises."""
    async for block in blocks(connection, query):
        yield [str(line, "utf-8") for line in block.split(b"\n")]


async def blocks(connection: Any, query: str) -> AsyncIterator[bytes]:
    """Whole lines, without the last one's end, as many at a time as have arrived; the server is held back while the
    reader is busy. Raises what COPY raises."""
    arrived: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)

    async def copy() -> None:
        try:
            await connection.copy_from_query(query, output=arrived.put, format="text", timeout=_DEADLINE)
        finally:
            await arrived.put(None)

    task = asyncio.create_task(copy())
    try:
        rest = b""
        while (block := await arrived.get()) is not None:
            end = block.rfind(b"\n")
            if end < 0:
                rest += block
            else:
                yield rest + block[:end]
                rest = block[end + 1 :]
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
