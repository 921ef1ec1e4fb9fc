"""Who waits for an answer, and whether they are still there."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from services.api.shape.tail import Tail

T = TypeVar("T")
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
        watched, waiter = self._watched(), tail.waiter()

        def wake(*_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        watched.add_done_callback(wake)
        timer = asyncio.get_running_loop().call_later(seconds, wake)
        try:
            await waiter
        finally:
            timer.cancel()
            watched.remove_done_callback(wake)
            tail.forget(waiter)
        if watched.done():
            raise CallerLeft

    async def while_there(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives; it is cancelled when nobody waits for it any more. Raises CallerLeft then."""
        watched, task = self._watched(), asyncio.ensure_future(work)
        try:
            await asyncio.wait((watched, task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled():
            raise CallerLeft
        return task.result()

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
