"""The whole stack, supervised: servers, then migrations, then services; up in order, down in reverse.

While it runs, the home's state file says where everything is, and is written again whenever a pid changes. Nothing
outlives it: an orderly stop ends every child within its bound, and a kill leaves that to the kernel or the next start.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

import psutil

from medley.cli import leftovers
from medley.cli.embedded.server import Server
from medley.cli.home import Home, State
from medley.cli.keeper import Keeper
from medley.cli.output import Output
from medley.cli.plan import Plan

Say = Callable[[str], None]


class Stack:
    """One run of a plan on a home whose lock the caller holds."""

    def __init__(self, home: Home, plan: Plan, output: Callable[[str], Output], say: Say) -> None:
        self.home = home
        self.plan = plan
        self._output = output
        self._say = say
        self._ready = False
        self._keepers: list[Keeper] = []
        self._us = {"pid": os.getpid(), "created": psutil.Process().create_time()}

    def state(self) -> State:
        """What `medley info` shows, and what the next start needs to clean up after us."""
        alive = {
            keeper.name: keeper.child
            for keeper in self._keepers
            if keeper.child is not None and keeper.child.process.returncode is None
        }
        return {
            **self.plan.addresses,
            "allowed": self.plan.allowed,
            "ready": self._ready,
            "pids": {name: child.pid for name, child in alive.items() if name != "migrator"},
            "versions": self.plan.versions,
            "up": self._us,
            "processes": {name: leftovers.identity(child) for name, child in alive.items()},
        }

    async def run(self, stop: asyncio.Event, on_ready: Callable[[State], Awaitable[None]]) -> None:
        """Until `stop` is set. Raises GaveUp when a child keeps dying, with everything else stopped."""
        for pid in await asyncio.to_thread(leftovers.end, self.home.state()):
            self._say(f"ended process {pid}, left over from a run that was killed")
        for note in self.plan.notes:
            self._say(note)
        work = asyncio.create_task(self._up(on_ready))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                _raise_first(work)
        finally:
            stopping.cancel()
            work.cancel()
            await asyncio.wait({work})
            await self._down()
            self.home.forget_state()

    async def _up(self, on_ready: Callable[[State], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            await self._start(group, *self.plan.servers)
            await self._keeper(self.plan.migrator()).once()
            await self._start(group, *self.plan.services())
            self._ready = True
            self._write()
            await on_ready(self.state())

    async def _start(self, group: asyncio.TaskGroup, *servers: Server) -> None:
        """All at once; returns when all are ready."""
        keepers = [self._keeper(server) for server in servers]
        for keeper in keepers:
            group.create_task(keeper.keep(), name=keeper.name)
        await asyncio.gather(*(keeper.ready.wait() for keeper in keepers))

    def _keeper(self, server: Server) -> Keeper:
        self._keepers.append(Keeper(server, self._output(server.name), self._say, self._write))
        return self._keepers[-1]

    def _write(self) -> None:
        self.home.keep_state(self.state())

    async def _down(self) -> None:
        """Services one after the other, newest first; then the servers, which do not need each other, together."""
        servers = {server.name for server in self.plan.servers}
        for keeper in reversed(self._keepers):
            if keeper.name not in servers:
                await keeper.stop()
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers if keeper.name in servers))

    def kill(self) -> None:
        """Everything, now."""
        for keeper in reversed(self._keepers):
            keeper.kill()

    def tail(self, name: str) -> list[str]:
        """The last lines of one child."""
        return next((keeper.output.tail() for keeper in self._keepers if keeper.name == name), [])


def _raise_first(work: asyncio.Task[None]) -> None:
    """The first failure itself; what fell with it tells nothing more."""
    try:
        work.result()
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
