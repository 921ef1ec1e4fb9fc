"""The port that every embedded server fills, and how a test runs one on its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from medley.cli.embedded.child import Child, Program
from medley.runtime.errors import Unavailable


class Server(Protocol):
    """Something that can be started again and again on the same data, at the same address."""

    @property
    def name(self) -> str: ...

    def prepare(self) -> None:
        """Make the data folder and configuration; called before every start, may block, safe to repeat."""

    def program(self) -> Program:
        """What to start."""

    async def ready(self) -> None:
        """Return once it serves; may wait for ever: whoever calls this watches the process."""


S = TypeVar("S", bound=Server)
_START_SECONDS = 30


async def poll(ask: Callable[[], Awaitable[bool]], every: float = 0.03) -> None:
    """Return once `ask` answers True."""
    while not await ask():  # noqa: ASYNC110 - another process tells no event
        await asyncio.sleep(every)


@asynccontextmanager
async def running(server: S, log: Path) -> AsyncIterator[tuple[S, Child]]:
    """The server, ready, while the block runs; its output goes to the file `log`.

    Raises Unavailable, with the end of that output, when it dies or does not get ready.
    """
    server.prepare()
    with log.open("ab") as output:
        child = await Child.start(server.program(), output)
    try:
        await _first(server, child, log)
        yield server, child
    finally:
        await child.stop()


async def _first(server: Server, child: Child, log: Path) -> None:
    ready = asyncio.ensure_future(server.ready())
    died = asyncio.ensure_future(child.wait())
    done, pending = await asyncio.wait({ready, died}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if ready in done:
        return ready.result()
    end = (await asyncio.to_thread(log.read_text, errors="replace"))[-2000:]
    fate = f"ended with {died.result()}" if died in done else f"was not ready within {_START_SECONDS} s"
    raise Unavailable(f"{server.name} {fate}; its last output:\n{end}")
