"""One seed, from an empty library to the verdict.

The order: servers, tables → writers, clients → faults, each followed by a marker in every shape → all is calm, a last
marker → every client has it → clients and logs are compared with SELECT.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import httpx

from medley.client.http import http_client
from medley.runtime.postgres import FAILURES
from medley.runtime.together import ended
from tests.chaos import verdict
from tests.chaos.clients import Client
from tests.chaos.injection import Injection
from tests.chaos.outcomes import Outcome
from tests.chaos.plan import Fault, Plan
from tests.chaos.shapes import SHAPES
from tests.chaos.stage import Stage, stage
from tests.chaos.stream import Stream
from tests.chaos.writing import Database, Writer
from tests.support.library import until

_CONVERGES = 60.0  # seconds after the last fault; more is silent staleness
_STARTS = 60.0
_WAL_LOOK = 0.25
_PAUSE = 0.04  # of a writer, on the average
_RETAINED = "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::bigint FROM pg_replication_slots"


class Play:
    def __init__(self, on: Stage, http: httpx.AsyncClient) -> None:
        self._on, self._plan, self._http = on, on.plan, http
        self._clients: list[Client] = []
        self._stream = Stream(on.nats.url)
        self._markers = Database(on.postgres.url)
        self._turn = asyncio.Lock()
        self._mark = 0
        self._recovering: list[asyncio.Task[None]] = []
        self._recoveries: list[float] = []
        self._retained = 0
        self._injection = Injection(on, self._clients, self._healed)
        self._writers = [Writer(on.postgres.url, f"{on.plan.seed}-{n}", _PAUSE) for n in range(on.plan.writers)]

    async def run(self) -> list[str]:
        """What is not as it should be."""
        stop = asyncio.Event()
        writing = [asyncio.create_task(one.run(stop)) for one in self._writers]
        watching = asyncio.create_task(self._watch())
        try:
            for one in self._plan.clients:
                if not one.joins:
                    self._join(one.shape)
            await self._marked_everywhere(await self._write_mark(), _STARTS, "clients begin")
            await self._disturb()
            stop.set()
            await asyncio.gather(*writing)
            return await self._settle()
        finally:
            stop.set()
            await ended([*writing, watching, *self._recovering])
            await asyncio.gather(*(client.close() for client in self._clients), self._stream.close())
            self._markers.close()

    def outcome(self, differences: list[str], seconds: float) -> Outcome:
        return Outcome(
            seed=self._plan.seed,
            seconds=round(seconds, 2),
            transactions=sum(one.transactions for one in self._writers),
            changes=sum(one.changes for one in self._writers),
            clients=len(self._plan.clients),
            faults=tuple(one.kind for one in self._plan.faults),
            recoveries=tuple(round(one, 3) for one in self._recoveries),
            retained=self._retained,
            refetches=sum(len(one.refetches) for one in self._clients),
            entries=sum(one.entries for one in self._clients),
            ended=tuple(self._on.ended),
            differences=tuple(differences),
        )

    def tell(self, folder: Path) -> None:
        """What clients were sent, to be looked at."""
        for one in self._clients:
            lines = (repr(message) for message in one.seen)
            (folder / f"client-{one.number}.txt").write_text("\n".join(lines))

    def _join(self, shape: int) -> None:
        one = next(one for one in self._plan.clients if one.shape == shape)
        self._clients.append(Client(shape, one.manner, self._on.apis[one.api], self._http, self._plan.seed))

    async def _disturb(self) -> None:
        started = time.monotonic()

        async def join(shape: int, at: float) -> None:
            await asyncio.sleep(max(0.0, started + at - time.monotonic()))
            self._join(shape)

        async with asyncio.TaskGroup() as group:
            group.create_task(self._injection.run(started))
            for one in self._plan.clients:
                if one.joins:
                    group.create_task(join(one.shape, one.joins))

    def _healed(self, fault: Fault) -> None:
        self._recovering.append(asyncio.create_task(self._recover(time.monotonic())))

    async def _recover(self, since: float) -> None:
        """Until every steady client has a row that was written after that moment."""
        mark = await self._write_mark()
        await self._marked_everywhere(mark, _CONVERGES, "", steady=True)
        self._recoveries.append(time.monotonic() - since)

    async def _write_mark(self) -> int:
        async with self._turn:
            self._mark += 1
            mark = self._mark
            statements = [sql for one in self._plan.clients for sql in SHAPES[one.shape].marker(one.shape, mark)]
            await self._markers.insist(statements)
            return mark

    async def _marked_everywhere(self, mark: int, patience: float, what: str, *, steady: bool = False) -> None:
        """`what` names what is awaited; without it, nothing is said when it does not come."""

        async def there() -> bool:
            some = [one for one in self._clients if not steady or one.manner == "steady"]
            return all(one.mark >= mark or one.failure() is not None for one in some)

        if what:
            await until(there, what, patience)
        else:
            with suppress(AssertionError):
                await until(there, what, patience)

    async def _settle(self) -> list[str]:
        """Wait until everybody has the last marker, and compare; again, when somebody was sent away meanwhile."""
        for one in self._clients:
            one.calm()
        mark = await self._write_mark()

        async def settled() -> bool:
            return all(self._has(one, mark) for one in self._clients)

        until_when = time.monotonic() + _CONVERGES
        while True:
            before = self._sent_away()
            with suppress(AssertionError):
                await until(settled, "", until_when - time.monotonic())
                await asyncio.gather(*self._recovering)
            found = await self._compare(mark)
            undisturbed = await settled() and self._sent_away() == before
            if not found or undisturbed or time.monotonic() > until_when:
                return found

    def _sent_away(self) -> int:
        return sum(len(one.refetches) for one in self._clients)

    def _has(self, client: Client, mark: int) -> bool:
        if client.failure() is not None:
            return True
        return client.mark >= mark and client.settled and self._stream.of(client.handle).mark >= mark

    async def _compare(self, mark: int) -> list[str]:
        log = verdict.SyncLog.read(sorted(self._on.folder.glob("sync*.log")))
        session = await self._on.library.connect()
        found: list[str] = []
        try:
            for one in self._clients:
                wanted = await verdict.truth(session, one)
                found += verdict.of_client(one, wanted, mark)
                found += verdict.of_unbalanced(one, log)
                found += verdict.of_stream(one, one.handle, self._stream.of(one.handle), wanted, mark)
                found += verdict.of_refetches(one, self._injection.begun, log)
        finally:
            await session.close()
        return found

    async def _watch(self) -> None:
        """How much WAL the slot holds back."""
        database = Database(self._on.postgres.url)
        try:
            while True:
                try:
                    found = await (await database.session()).fetchval(_RETAINED)
                    self._retained = max(self._retained, found or 0)
                except FAILURES as error:
                    database.lost(error)
                await asyncio.sleep(_WAL_LOOK)
        finally:
            database.close()


async def play(plan: Plan, made: Path, folder: Path) -> Outcome:
    """`made`: a template of servers. Logs are in `folder`, and what clients were sent when something differs."""
    begun = time.monotonic()
    async with stage(plan, made, folder) as on, http_client(on.apis[0]) as http:
        played = Play(on, http)
        try:
            differences = await played.run()
        except Exception as error:
            differences = [f"not played to its end: {error!r}"]
        if differences:
            played.tell(folder)
        return played.outcome(differences, time.monotonic() - begun)
