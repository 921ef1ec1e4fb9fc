"""A load client in a process of its own: an object there, whose coroutine methods are called from here.

The client must not be what is measured, nor take turns with what measures it. The process ends with ours, however
ours ends: its pipe is closed then.
"""

import asyncio
import multiprocessing
import signal
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any

import uvloop

_SPAWN = multiprocessing.get_context("spawn")


class Failed(Exception):
    """The client could not do it; the text is its own traceback."""


class Apart:
    """`await apart.ask("method", …)` calls the method over there."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    async def ask(self, method: str, *arguments: Any) -> Any:
        self._pipe.send((method, arguments))
        await _readable(self._pipe)
        try:
            fine, answer = self._pipe.recv()
        except EOFError:
            raise Failed(f"the client's process ended with {self._process.exitcode}") from None
        if not fine:
            raise Failed(answer)
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join(5)
        self._process.kill()
        self._process.join()


@asynccontextmanager
async def apart(make: Callable[..., Any], *arguments: Any) -> AsyncIterator[Apart]:
    """The object `make(*arguments)` in a process of its own, ready."""
    process = Apart(make, *arguments)
    try:
        await process.ask("__str__")
        yield process
    finally:
        process.end()


async def _readable(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def set_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(pipe.fileno(), set_ready)
    try:
        await ready
    finally:
        loop.remove_reader(pipe.fileno())


def _serve(pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started us
    uvloop.run(_answer(pipe, make, arguments))


async def _answer(pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    made = make(*arguments)
    while True:
        await _readable(pipe)
        try:
            method, given = pipe.recv()
        except EOFError:
            return
        try:
            answer = getattr(made, method)(*given)
            pipe.send((True, await answer if asyncio.iscoroutine(answer) else answer))
        except Exception:
            pipe.send((False, traceback.format_exc()))
