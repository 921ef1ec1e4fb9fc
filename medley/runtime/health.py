"""`GET /healthz` for containers: 200 with a JSON body while the service says that it is well, else 503. Beside it,
`GET /metrics` of a service that has some."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from medley.runtime.metrics import CONTENT_TYPE, Metric, written
from medley.runtime.settings import HealthSettings

Report = Callable[[], tuple[bool, dict[str, Any]]]
Measure = Callable[[], Iterable[Metric]]


@asynccontextmanager
async def serve(
    report: Report, settings: HealthSettings | None = None, measure: Measure | None = None
) -> AsyncIterator[None]:
    """Answer on `HEALTH_PORT` while the block runs; nothing at all when the port is 0."""
    settings = settings or HealthSettings()
    if not settings.port:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            if measure is not None and request.split(b" ", 2)[1:2] == [b"/metrics"]:
                writer.write(_response("200 OK", CONTENT_TYPE, written(measure()).encode()))
            else:
                well, details = report()
                status = "200 OK" if well else "503 Service Unavailable"
                writer.write(_response(status, "application/json", json.dumps(details, default=str).encode()))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, settings.host, settings.port)
    try:
        yield
    finally:
        server.close()


def _response(status: str, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n".encode() + body
