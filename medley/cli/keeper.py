"""Keeps one server alive: starts it, says when it died, starts it again until that is hopeless."""

import asyncio
import time
from collections.abc import Callable

from medley.cli.embedded.child import Child
from medley.cli.embedded.server import Server
from medley.cli.output import Output
from medley.cli.restarts import Restarts, fate
from medley.runtime.errors import MedleyError


class GaveUp(MedleyError):
    """A child keeps dying; `tail` is what it said last."""

    def __init__(self, name: str, sentence: str, tail: list[str]) -> None:
        super().__init__(sentence)
        self.name = name
        self.tail = tail


class Keeper:
    """One server over all its lives. `say` tells people, `changed` that there is a new pid."""

    def __init__(self, server: Server, output: Output, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.server = server
        self.name = server.name
        self.output = output
        self.child: Child | None = None
        self.ready = asyncio.Event()
        self._say = say
        self._changed = changed
        self._stopping = False

    async def keep(self) -> None:
        """Run until `stop`. Raises GaveUp, or what the server's own preparation raises."""
        restarts = Restarts()
        while not self._stopping:
            started = time.monotonic()
            code = await self._live()
            if self._stopping:
                return
            pause = restarts.died(time.monotonic(), time.monotonic() - started, code)
            if pause is None:
                raise GaveUp(self.name, f"{self.name} {fate(code)}, as so often before; giving up", self.output.tail())
            self._say(f"{self.name} {fate(code)}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)

    async def once(self) -> None:
        """Run it to its end. Raises GaveUp when it fails."""
        code = await self._live()
        if code and not self._stopping:
            raise GaveUp(self.name, f"{self.name} {fate(code)}", self.output.tail())

    async def _live(self) -> int:
        """From start to death; the exit code."""
        await asyncio.to_thread(self.server.prepare)
        target = self.output.target()
        try:
            child = await Child.start(self.server.program(), target)
        finally:
            if not isinstance(target, int):
                target.close()
        self.child = child
        self._changed()
        if self._stopping:
            child.kill()
        pump = asyncio.create_task(self.output.pump(child.process))
        ready = asyncio.create_task(self._get_ready())
        dead = asyncio.create_task(child.wait())
        try:
            await asyncio.wait({ready, dead}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not dead.done():
                ready.result()
            code = await dead
            self._changed()
            return code
        finally:
            ready.cancel()
            # A grandchild may hold the pipe open after the child is gone.
            await asyncio.wait({pump}, timeout=0.5)
            pump.cancel()

    async def _get_ready(self) -> None:
        await self.server.ready()
        self.ready.set()

    async def stop(self) -> None:
        """End it within its grace; nothing of it is left."""
        self._stopping = True
        if self.child is not None:
            await self.child.stop()

    def kill(self) -> None:
        """End it now."""
        self._stopping = True
        if self.child is not None:
            self.child.kill()
