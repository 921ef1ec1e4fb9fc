"""The machine of the bus loses power: what JetStream acked and had not synced to its disk is gone, in each stream as
much as it happens to be. Clients converge, for Postgres still has what was lost."""

import asyncio
import random
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import Ports
from medley.cli.embedded.server import running
from tests.support.library import Follower, Library, rows_of, running_library, until

_SYNCED = 0.7
"""Seconds before the power cut of which nothing may be left; the server syncs every second."""
_CUTS = 3


class Bus:
    """A NATS server whose disk can be set back."""

    def __init__(self, folder: Path) -> None:
        self.server = Nats(folder / "nats", Ports(), secrets.token_urlsafe(12))
        self._log = folder / "nats.log"
        self._stop = asyncio.Event()
        self._runs: asyncio.Task[None] | None = None
        self._up = asyncio.Event()

    async def start(self) -> None:
        self._stop.clear()
        self._up.clear()
        self._runs = asyncio.create_task(self._run())
        await self._up.wait()

    async def _run(self) -> None:
        async with running(self.server, self._log) as (_, child):
            self._up.set()
            await self._stop.wait()
            child.kill()

    async def kill(self) -> None:
        self._stop.set()
        assert self._runs is not None
        await self._runs

    def blocks(self) -> dict[Path, int]:
        """Every file of messages, and its size."""
        return {path: path.stat().st_size for path in self.server.folder.rglob("*.blk")}

    def set_back(self, sizes: dict[Path, int], chance: random.Random) -> int:
        """Cut what came since off some of the streams; returns the bytes that are lost."""
        lost = 0
        streams = sorted({path.parent for path in self.blocks()})
        for stream in streams:
            if chance.random() < 0.3:
                continue
            (stream / "index.db").unlink(missing_ok=True)
            for path, size in self.blocks().items():
                if path.parent != stream or size <= sizes.get(path, 0):
                    continue
                lost += size - sizes.get(path, 0)
                if path in sizes:
                    with path.open("r+b") as block:
                        block.truncate(sizes[path])
                else:
                    path.unlink()
        return lost


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    found = Bus(tmp_path)
    await found.start()
    yield found
    await found.kill()


@pytest.fixture
async def library(bus: Bus, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Library]:
    async with running_library(postgres_dsn, bus.server.url, tmp_path) as running_one:
        yield running_one


@asynccontextmanager
async def _written(library: Library) -> AsyncIterator[str]:
    table = f"t_{secrets.token_hex(4)}"
    connection = await library.connect()
    await connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, owner int, n int)")
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await connection.execute(
                f"INSERT INTO {table} (owner, n) SELECT i % 3, 0 FROM generate_series(1, 4) i;"
                f"UPDATE {table} SET n = n + 1, owner = (owner + 1) % 3 WHERE id % 31 = (random() * 31)::int;"
                f"DELETE FROM {table} WHERE id % 37 = (random() * 37)::int"
            )
            await asyncio.sleep(0.02)

    writing = asyncio.create_task(write())
    try:
        yield table
    finally:
        stop.set()
        await writing
        await connection.close()


async def _grows(follower: Follower, by: int) -> None:
    seen = len(follower.messages)

    async def grown() -> bool:
        follower.check()
        return len(follower.messages) > seen + by

    await until(grown, "changes arrive")


async def test_clients_converge(bus: Bus, library: Library) -> None:
    chance = random.Random(20261123)  # noqa: S311
    async with AsyncExitStack() as stack:
        async with _written(library) as table:
            whole = await stack.enter_async_context(Follower(library.api, table))
            part = await stack.enter_async_context(Follower(library.api, table, where="owner = 1"))
            lost = 0
            await _grows(part, 1)  # else its shape may be what the first cut takes
            for _ in range(_CUTS):
                await _grows(whole, 100)
                sizes = bus.blocks()
                await asyncio.sleep(_SYNCED)  # what is written meanwhile is what the power cut takes
                await bus.kill()
                lost += await asyncio.to_thread(bus.set_back, sizes, chance)
                await bus.start()
                await library.active()
            assert lost > 0
        await _equal(library, table, whole, part)
        for follower in (whole, part):
            assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]


async def test_all_streams_may_go_under_a_running_library(bus: Bus, library: Library) -> None:
    async with AsyncExitStack() as stack:
        async with _written(library) as table:
            whole = await stack.enter_async_context(Follower(library.api, table))
            part = await stack.enter_async_context(Follower(library.api, table, where="owner = 1"))
            await _grows(whole, 50)
            await bus.kill()
            await asyncio.to_thread(shutil.rmtree, bus.server.folder / "jetstream")
            await bus.start()
            await library.active()
        await _equal(library, table, whole, part)


async def _equal(library: Library, table: str, whole: Follower, part: Follower) -> None:
    connection = await library.connect()
    await whole.reaches(await rows_of(connection, table))
    await part.reaches(await rows_of(connection, table, "owner = 1"))
    async with Follower(library.api, table) as anew:
        await anew.reaches(await rows_of(connection, table))
    await connection.close()
