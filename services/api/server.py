"""uvicorn under our own life: our signals, our socket, and a stop that does not wait for idle long polls."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from medley.runtime.errors import ConfigurationError

_MOST_HEAD = 1024 * 1024  # a where clause and its parameters at their longest, percent-encoded, and room

_LONG = 65_535


class _Protocol(HttpToolsProtocol):
    """uvicorn's, but a head that is too large is refused before it ends, and an address up to that size is understood:
    the parser's own split of an address counts in 16 bits."""

    _in_head = True
    _head = 0

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._head > _MOST_HEAD:
                return self.send_400_response("The head of the request is too large.")
        return super().data_received(data)

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        if len(self.url) < _LONG:
            return super().on_headers_complete()
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]  # before anybody has seen the scope
        return None

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()


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


async def serve(app: Any, listening: socket.socket, stop: asyncio.Event, release: Callable[[], None]) -> None:
    """Serve until `stop`; then `release` lets go of those who wait, and the rest may finish."""
    config = uvicorn.Config(
        app,
        loop="none",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
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
