"""Servers, a migrated database and a sync to play scenarios on; and playing many of them at once."""

import asyncio
import itertools
import secrets
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from medley.contracts import streams
from medley.runtime.postgres import SESSION
from tests.oracle.desk import Desk
from tests.oracle.gate import Gate
from tests.oracle.kinds import BUILTIN, ICU, PLAIN, SHARED
from tests.oracle.model import Scenario
from tests.oracle.outcomes import Difference, Tally
from tests.oracle.play import Play
from tests.oracle.reader import Reader
from tests.support.library import Library, until
from tests.support.shapes import connected, running_sync
from tests.support.standby import standby

_PATIENCE = 60.0  # seconds for sync to be there again
_QUICK = {"SYNC_RECONCILE_INTERVAL": "1", "SYNC_CLAUSE_SECONDS": "20", "POSTGRES_POOL_SIZE": "12"}


@dataclass
class Stage:
    """A sync that runs, and what was seen on it."""

    library: Library
    desk: Desk
    reader: Reader
    tally: Tally = field(default_factory=Tally)
    kills: int = 0
    hides: bool = False
    """Whether commits can be late."""
    _stalls: Gate = field(default_factory=Gate)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def play(self, scenario: Scenario) -> list[Difference]:
        schema = f"o{next(self._numbers)}_{secrets.token_hex(3)}"
        play = Play(scenario, schema, self.desk, self.reader, self.tally, self._stalls, hides=self.hides)
        return await play.run(self.library.dsn, SESSION)

    async def play_all(
        self, scenarios: Iterable[Scenario], at_once: int
    ) -> AsyncIterator[tuple[Scenario, list[Difference]]]:
        """Many at once, in the order in which they end."""
        waiting = iter(scenarios)
        running: dict[asyncio.Task[list[Difference]], Scenario] = {}
        try:
            while True:
                for scenario in itertools.islice(waiting, at_once - len(running)):
                    running[asyncio.create_task(self.play(scenario))] = scenario
                if not running:
                    return
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield running.pop(task), task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def restart_sync(self) -> None:
        """As a crash does; returns when it serves again: killed faster than it starts, it would get nowhere."""
        self.kills += 1
        await self.library.kill("sync", signal.SIGKILL)
        await self.desk.excuse()
        beats = await self.reader.beats()
        await self.library.start("sync")
        await beats.next_msg(timeout=_PATIENCE)
        await beats.unsubscribe()


@asynccontextmanager
async def stage(dsn: str, nats_url: str, logs: Path, *, alone: bool) -> AsyncIterator[Stage]:
    """On an empty database and a bus with no streams. `alone`: nobody else uses the database server meanwhile."""
    database = await asyncpg.connect(dsn, server_settings=SESSION)
    try:
        async with (
            standby(database, alone=alone) as hides,
            running_sync(dsn, nats_url, logs, **_QUICK) as library,
            connected(nats_url, database) as shapes,
        ):
            icu = await database.fetchval("SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')")
            version = int(await database.fetchval("SHOW server_version_num"))
            loose, german = ICU if icu else BUILTIN if version >= 180000 else PLAIN
            await database.execute(SHARED.format(loose=loose, german=german))
            reader = Reader(shapes)
            await _streams(library, shapes.js)
            await reader.start()
            yield Stage(library, Desk(shapes, logs / "sync.log"), reader, hides=hides)
    finally:
        await database.close()


async def _streams(library: Library, js: JetStreamContext) -> None:
    """Wait until sync has made the stream of shapes."""

    async def there() -> bool:
        with suppress(NotFoundError):
            await js.stream_info(streams.SHAPES.name)
            return True
        assert library.processes["sync"].returncode is None, (library.logs / "sync.log").read_text()
        return False

    await until(there, "sync has made its streams")
