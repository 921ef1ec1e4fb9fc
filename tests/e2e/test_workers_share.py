"""Several workers of sync share the shapes: one may die, stop for a while, come or go; clients see nothing of it."""

import asyncio
import json
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from medley.contracts import subjects
from medley.contracts.shapes import Heartbeat
from medley.contracts.slices import SLICES
from tests.support.library import Follower, Library, rows_of, until

SHAPES = 8
OTHERS = ("second", "third")


class Beats:
    """The last heartbeat of each worker."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.last: dict[str, Heartbeat] = {}

    async def listen(self) -> None:
        async def take(message: Msg) -> None:
            beat = Heartbeat.model_validate_json(message.data)
            self.last[beat.worker] = beat

        await self._client.subscribe(subjects.SYNC_HEARTBEAT, cb=take)

    async def shared(self, workers: int) -> None:
        """Wait until so many workers say that they have all slices, each of its own."""

        async def is_so() -> bool:
            self.last.clear()
            await asyncio.sleep(1.1)  # two beats
            numbers = sorted(number for beat in self.last.values() for number in beat.slices)
            capturing = sum(beat.capturing for beat in self.last.values())
            each = all(beat.slices for beat in self.last.values())
            return len(self.last) == workers and each and numbers == list(range(SLICES)) and capturing == 1

        await until(is_so, f"{workers} workers share the slices")

    async def complete(self) -> None:
        """Wait until those that are heard have all slices."""

        async def is_so() -> bool:
            self.last.clear()
            await asyncio.sleep(1.1)
            return sorted(number for beat in self.last.values() for number in beat.slices) == list(range(SLICES))

        await until(is_so, "the slices are fed")


@pytest.fixture
async def beats(library: Library) -> AsyncIterator[Beats]:
    client = await nats.connect(library.nats_url)
    found = Beats(client)
    await found.listen()
    yield found
    await client.close()


@asynccontextmanager
async def _three(library: Library, beats: Beats) -> AsyncIterator[None]:
    for name in OTHERS:
        await library.start(name, "sync")
    await beats.shared(3)
    yield
    for name in OTHERS:
        if name in library.processes:
            await library.kill(name, signal.SIGTERM)
    await beats.shared(1)


async def _each_follows(library: Library, table: str, stack: AsyncExitStack) -> list[tuple[str, Follower]]:
    """Shapes of one table, of several slices."""
    clauses = [f"owner = {number}" for number in range(SHAPES)]
    return [(clause, await stack.enter_async_context(Follower(library.api, table, where=clause))) for clause in clauses]


@asynccontextmanager
async def _written(library: Library) -> AsyncIterator[str]:
    """A table that is written to until the block ends, a little at a time: three workers on a small machine."""
    table = f"t_{secrets.token_hex(4)}"
    connection = await library.connect()
    await connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, owner int, n int)")
    stop = asyncio.Event()

    async def write() -> None:
        chance = random.Random(20261123)  # noqa: S311
        while not stop.is_set():
            async with connection.transaction():
                await connection.execute(
                    f"INSERT INTO {table} (owner, n) SELECT i % {SHAPES}, 0 FROM generate_series(1, {SHAPES}) i"
                )
                await connection.execute(
                    f"UPDATE {table} SET n = n + 1, owner = (owner + 1) % {SHAPES} WHERE id % 61 = $1",
                    chance.randrange(61),
                )
                await connection.execute(f"DELETE FROM {table} WHERE id % 53 = $1", chance.randrange(53))
            await asyncio.sleep(0.03)

    writing = asyncio.create_task(write())
    try:
        yield table
    finally:
        stop.set()
        await writing
        await connection.close()


async def _more(followers: list[tuple[str, Follower]]) -> None:
    """Wait until each has heard of further changes."""
    seen = [len(follower.messages) for _, follower in followers]

    async def grown() -> bool:
        return all(len(one.messages) > before + 5 for (_, one), before in zip(followers, seen, strict=True))

    await until(grown, "every follower hears of changes")


async def _equal(library: Library, table: str, followers: list[tuple[str, Follower]]) -> None:
    connection = await library.connect()
    for clause, follower in followers:
        await follower.reaches(await rows_of(connection, table, clause), patience=120)
        assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]
    await connection.close()


async def test_each_may_be_killed_and_come_again(library: Library, beats: Beats) -> None:
    async with _three(library, beats), AsyncExitStack() as stack:
        async with _written(library) as table:
            followers = await _each_follows(library, table, stack)
            await _more(followers)
            for name in ("sync", *OTHERS):
                await library.kill(name)
                await _more(followers)
                await library.start(name, "sync")
                await beats.shared(3)
                await _more(followers)
        await _equal(library, table, followers)


async def test_one_that_stops_for_a_while_does_no_harm_when_it_goes_on(library: Library, beats: Beats) -> None:
    """Its slices are another one's by then, and it has not heard of that."""
    async with _three(library, beats), AsyncExitStack() as stack:
        async with _written(library) as table:
            followers = await _each_follows(library, table, stack)
            await _more(followers)
            process = library.processes["second"]
            os.kill(process.pid, signal.SIGSTOP)
            try:
                # Whether it captures or not; that one's slot is free after `wal_sender_timeout`.
                await beats.complete()
            finally:
                os.kill(process.pid, signal.SIGCONT)
            await beats.shared(3)
            await _more(followers)
        await _equal(library, table, followers)


async def test_an_opening_reaches_the_worker_that_it_belongs_to(library: Library, beats: Beats) -> None:
    async with _three(library, beats):
        client = await nats.connect(library.nats_url)
        for number in range(SHAPES):
            definition = {"schema_name": "public", "table": "songs", "where": f"seconds > {number}"}
            request = json.dumps({"definition": definition}).encode()
            reply = json.loads((await client.request(subjects.SYNC_SHAPES_OPEN, request, timeout=10)).data)
            assert reply["record"] is not None, reply
            drop = json.dumps({"handle": reply["record"]["handle"]}).encode()
            dropped = json.loads((await client.request(subjects.SYNC_SHAPES_DROP, drop, timeout=10)).data)
            assert dropped == {"dropped": True}
        await client.close()
