"""Does to a stage what a fault says, and takes it back; knows when each ended, and what may have ended shapes."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import nats
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from tests.chaos.clients import Client
from tests.chaos.plan import Fault
from tests.chaos.stage import Stage
from tests.chaos.writing import EMPTIED, LARGE_ONES, Database

_RETRY = 0.1
_SLOW = {"latency": 0.03, "bandwidth": 200_000.0}
_END_SLOT = (
    "SELECT pg_terminate_backend(active_pid, 2000) FROM pg_replication_slots WHERE active_pid IS NOT NULL",
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
)


@dataclass
class Injection:
    """Of one seed. `healed(fault)` is called when one has ended; `begun`: when each that may end shapes began."""

    stage: Stage
    clients: list[Client]
    healed: Callable[[Fault], None]
    begun: list[tuple[float, Fault]] = field(default_factory=list)

    async def run(self, started: float) -> None:
        async with asyncio.TaskGroup() as group:
            for fault in self.stage.plan.faults:
                group.create_task(self._one(fault, started))

    async def _one(self, fault: Fault, started: float) -> None:
        await asyncio.sleep(max(0.0, started + fault.at - time.monotonic()))
        async with AsyncExitStack() as alone:
            for name in fault.targets:
                if name in self.stage.locks:
                    await alone.enter_async_context(self.stage.locks[name])
            self.begun.append((time.monotonic(), fault))
            await self._inject(fault)
        self.healed(fault)

    async def _inject(self, fault: Fault) -> None:
        match fault.kind:
            case "kill" | "restart":
                await self._end(fault)
            case "pause":
                await self._pause(fault)
            case "cut" | "freeze" | "slow":
                await self._link(fault)
            case "clients stop":
                for client in self.clients:
                    client.stop()
            case "streams deleted":
                await self._delete(fault.targets)
            case _:
                await self._write(fault)

    async def _end(self, fault: Fault) -> None:
        number = signal.SIGKILL if fault.kind == "kill" else None
        await asyncio.gather(*(self.stage.end(name, number) for name in fault.targets))
        await asyncio.sleep(fault.seconds)
        for name in sorted(fault.targets, key=lambda name: name not in ("nats", "postgres")):
            await self.stage.start(name)

    async def _pause(self, fault: Fault) -> None:
        for name in fault.targets:
            self.stage.tell(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for name in fault.targets:
                self.stage.tell(name, signal.SIGCONT)

    async def _link(self, fault: Fault) -> None:
        links = [self.stage.links[name] for name in fault.targets]
        for link in links:
            match fault.kind:
                case "cut":
                    link.cut()
                case "freeze":
                    link.moving.clear()
                case _:
                    link.latency, link.bandwidth = _SLOW["latency"], _SLOW["bandwidth"]
        await asyncio.sleep(fault.seconds)
        for link in links:
            link.open, link.latency, link.bandwidth = True, 0.0, 0.0
            link.moving.set()

    async def _delete(self, names: tuple[str, ...]) -> None:
        left = list(names)
        while left:
            with suppress(OSError, NatsError, TimeoutError):
                client = await nats.connect(self.stage.nats.url, allow_reconnect=False, connect_timeout=2)
                try:
                    while left:
                        with suppress(NotFoundError):
                            await client.jetstream().delete_stream(left[0])
                        left.pop(0)
                finally:
                    await client.close()
            if left:
                await asyncio.sleep(_RETRY)

    async def _write(self, fault: Fault) -> None:
        """What is done with SQL."""
        database = Database(self.stage.postgres.url)
        try:
            match fault.kind:
                case "slot dropped":
                    await database.insist(_END_SLOT)
                case "large transaction":
                    for statement in LARGE_ONES:
                        await database.insist([statement])
                case "truncated":
                    await database.insist(EMPTIED[fault.targets[0]])
                case "unpublished":
                    await database.insist([_unpublish(fault.targets[0])])
                case _:
                    table = f"chaos.{fault.targets[0]}"
                    column = f"added_{int(fault.at * 100)}"
                    await database.insist(
                        [
                            "SET LOCAL lock_timeout = '300ms'",
                            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} int",
                        ]
                    )
        finally:
            database.close()


def _unpublish(table: str) -> str:
    """By hand, if it is published at that moment."""
    found = f"SELECT FROM pg_publication_tables WHERE schemaname = 'chaos' AND tablename = '{table}'"
    return f"DO $$ BEGIN IF EXISTS ({found}) THEN ALTER PUBLICATION medley DROP TABLE chaos.{table}; END IF; END $$"
