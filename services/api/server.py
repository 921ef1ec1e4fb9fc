"""uvicorn under our own life: our signals, our socket, and a stop that does not wait for idle long polls."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from medley.runtime.errors import ConfigurationError
from services.api.protocol import Reads, with_reads


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's, not the server's."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}; set API_PORT") from error
    listening.listen(4096)
    return listening


async def serve(
    app: Any, reads: Reads, listening: socket.socket, stop: asyncio.Event, release: Callable[[], None]
) -> None:
    """Serve until `stop`; then `release` lets go of those who wait, and the rest may finish. `reads`: those that need
    not go through the application."""
    config = uvicorn.Config(
        app,
        loop="none",
        http=with_reads(reads),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=True,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=75,  # longer than clients and proxies keep an idle connection: they are the ones to close it
        backlog=4096,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listening]), name="http")
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    release()
    await serving
