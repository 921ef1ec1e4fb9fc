"""`GET /healthz` for containers: 200 with a JSON body while the service says that it is well, else 503."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from medley.runtime.settings import HealthSettings

Report = Callable[[], tuple[bool, dict[str, Any]]]


@asynccontextmanager
async def serve(report: Report, settings: HealthSettings | None = None) -> AsyncIterator[None]:
    """Answer on `HEALTH_PORT` while the block runs; nothing at all when the port is 0."""
    settings = settings or HealthSettings()
    if not settings.port:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            well, details = report()
            body = json.dumps(details, default=str).encode()
            head = f"HTTP/1.1 {'200 OK' if well else '503 Service Unavailable'}\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, settings.host, settings.port)
    try:
        yield
    finally:
        server.close()
