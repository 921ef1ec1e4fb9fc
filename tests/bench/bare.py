"""The limit of serving: a program that answers every request with bytes made beforehand, and lets live ones wait.

It speaks just enough of the shape protocol for the same clients to follow it.
"""

import asyncio
from typing import cast

from tests.bench.wire import framed

_ROW = (
    b'{"key":"\\"public\\".\\"bench\\"/\\"1\\"","value":{"id":"1","playlist_id":"1","title":"a title","filler":"'
    + b"x" * 150
    + b'","at":"1763900000.123456"},"headers":{"operation":"insert","relation":["public","bench"],'
    b'"lsn":"26800584","op_position":0,"txids":[1234],"last":true}}'
)
_LAST = b'{"headers":{"control":"up-to-date","global_last_seen_lsn":"26800584"}}'


def _answer(body: bytes) -> bytes:
    names = (b"electric-handle: 1-1", b"electric-offset: 1_0", b"electric-cursor: 1", b"electric-up-to-date: ")
    head = (b"HTTP/1.1 200 OK", b"content-type: application/json", *names, b"content-length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    def __init__(self, server: "Bare") -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if b"&live=true" in data:
            self._server.waiting.append(self._transport)
        else:
            self._transport.write(self._server.answer)


class Bare:
    """`body`: how many bytes an answer's body has (0: a tail, without rows)."""

    def __init__(self, body: int = 0) -> None:
        self.answer = _answer(b"[" + _LAST + b" " * max(body - len(_LAST) - 2, 0) + b"]")
        self._released = _answer(b"[" + _ROW + b"," + _LAST + b"]")
        assert framed(self.answer) is not None
        self.waiting: list[asyncio.Transport] = []

    async def listen(self) -> str:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def waits(self) -> int:
        return len(self.waiting)

    def release(self) -> None:
        """All who wait have their row."""
        released, self.waiting = self.waiting, []
        for transport in released:
            transport.write(self._released)
