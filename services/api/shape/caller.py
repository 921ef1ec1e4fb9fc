"""Who waits for an answer, and whether they are still there."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from services.api.shape.tail import Tail

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class CallerLeft(Exception):
    """Nobody waits for the answer any more."""


class Caller:
    """One request's other end. Watched only while it waits: most requests are answered at once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._leaving: asyncio.Task[None] | None = None

    @property
    def has_left(self) -> bool:
        return self._watched().done()

    async def wait(self, tail: Tail, seconds: float) -> None:
        """Until the tail changes, or the time is over. Raises CallerLeft as soon as the connection is closed."""
        watched = self._watched()
        await asyncio.wait((tail.changed(), watched), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if watched.done():
            raise CallerLeft

    async def body(self, most: int) -> bytes | None:
        """What was sent with the request; None when it is more than `most` bytes. Raises CallerLeft."""
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > most:
                return None
            if not message.get("more_body", False):
                return b"".join(pieces)

    def release(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()

    def _watched(self) -> asyncio.Task[None]:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._left())
        return self._leaving

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
