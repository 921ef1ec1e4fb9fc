"""A shape that changes much stays small: another snapshot is made when its log has outgrown the last one, the log
before it goes, and whoever follows the shape notices nothing."""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from medley.contracts import subjects
from tests.support.library import Follower, Library, rows_of, running_library, until
from tests.support.shapes import Shapes, connected
from tests.support.verifying import Verifier

ROWS = 60
SMALL = {"SYNC_LOG_BYTES": "20000", "SYNC_RENEWAL_INTERVAL": "0.2", "SYNC_SUPERSEDED_SECONDS": "0.5"}


@pytest_asyncio.fixture(scope="module")
async def library(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    async with running_library(postgres_dsn, fresh_nats_url, tmp_path_factory.mktemp("library"), **SMALL) as running:
        yield running


@pytest_asyncio.fixture
async def shapes(library: Library, database: asyncpg.Connection) -> AsyncIterator[Shapes]:
    async with connected(library.nats_url, database) as found:
        yield found


async def a_table(database: asyncpg.Connection) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, kind int, text text)")
    await database.execute(f"INSERT INTO {name} SELECT g, g % 3, 'x' FROM generate_series(1, $1) g", ROWS)
    return name


@asynccontextmanager
async def writing(library: Library, table: str, *more: str) -> AsyncIterator[None]:
    """Two writers that change the table all the time; `more`: statements that they also run."""

    async def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        connection = await library.connect()
        try:
            while True:
                async with connection.transaction():
                    for _ in range(chance.randint(1, 20)):
                        await connection.execute(
                            chance.choice(
                                (
                                    f"UPDATE {table} SET kind = (kind + 1) % 3, text = repeat('y', $2) WHERE id = $1",
                                    f"INSERT INTO {table} SELECT $1, 0, repeat('z', $2)"
                                    f" WHERE NOT EXISTS (SELECT FROM {table} WHERE id = $1) ON CONFLICT DO NOTHING",
                                    f"DELETE FROM {table} WHERE id = $1 AND $2 > 40",
                                )
                            ),
                            # Each writer has rows of its own: none waits for another.
                            chance.randrange(seed, ROWS, 2) + 1,
                            chance.randint(1, 80),
                        )
                    if more and chance.random() < 0.3:
                        await connection.execute(chance.choice(more))
                await asyncio.sleep(0.01)
        finally:
            await connection.close()

    tasks = [asyncio.create_task(write(seed)) for seed in (0, 1)]
    try:
        yield
        for task in tasks:
            assert not task.done(), task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def fetched(http: httpx.AsyncClient, query: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
    """A first sync, as a client does it: every message up to up-to-date, and the handle."""
    messages: list[dict[str, Any]] = []
    state = {"offset": "-1"}
    while True:
        answer = await http.get("/v1/shape", params={**query, **state})
        assert answer.status_code == 200, answer.text
        messages += answer.json()
        state = {"handle": answer.headers["electric-handle"], "offset": answer.headers["electric-offset"]}
        if "electric-up-to-date" in answer.headers:
            return messages, state["handle"]


def renewals(library: Library, table: str) -> int:
    lines = [json.loads(line) for line in (library.logs / "sync.log").read_text().splitlines() if line[:1] == "{"]
    return sum(line["event"] == "shape renewed" and line["table"] == f"public.{table}" for line in lines)


def refetches(follower: Follower) -> int:
    return sum(message["headers"].get("control") == "must-refetch" for message in follower.messages)


@asynccontextmanager
async def churned(library: Library, query: dict[str, Any], *more: str, generations: int = 4) -> AsyncIterator[Follower]:
    """Somebody follows the shape while it is written until it has had several generations; then nobody writes."""
    table = query["table"]
    async with Follower(library.api, **query) as follower:
        async with writing(library, table, *more):

            async def renewed() -> bool:
                follower.check()
                return renewals(library, table) >= generations

            await until(renewed, "the shape is renewed several times")
        yield follower


async def test_a_first_sync_costs_what_there_is_and_followers_notice_nothing(
    library: Library, database: asyncpg.Connection, shapes: Shapes
) -> None:
    table = await a_table(database)
    async with churned(library, {"table": table}) as follower, httpx.AsyncClient(base_url=library.api) as http:
        await follower.reaches(await rows_of(database, table))
        assert refetches(follower) == 0
        changes = len(follower.messages)
        query = {"table": table}

        async def small() -> bool:
            return len((await fetched(http, query))[0]) < changes / 2

        await until(small, "a first sync is smaller than what has happened")
        _, handle = await fetched(http, query)
        async with Follower(library.api, table) as another:
            await another.reaches(await rows_of(database, table))
            await database.execute(f"UPDATE {table} SET text = 'end'")
            await another.reaches(await rows_of(database, table))
            await follower.reaches(await rows_of(database, table))
        assert refetches(follower) == 0
        first = handle

        async def purged() -> bool:
            record = (await shapes.ask(table)).record
            assert record is not None
            nonlocal first
            first = record.log
            return not await shapes.stored(subjects.shape_snapshot(record.log))

        await until(purged, "the first snapshot is purged")
        stored = await shapes.stored(subjects.shape_log(first))
        assert sum(len(message.data or b"") for message in stored) < 500_000
    assert (await Verifier(library.dsn, library.nats_url)(shapes=True)).findings == []


async def test_with_subqueries(library: Library, database: asyncpg.Connection) -> None:
    table, kinds = await a_table(database), f"k_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {kinds} (kind int PRIMARY KEY, live boolean)")
    await database.execute(f"INSERT INTO {kinds} VALUES (0, true), (1, false), (2, true)")
    where = f"kind IN (SELECT kind FROM {kinds} WHERE live)"
    flips = [f"UPDATE {kinds} SET live = NOT live WHERE kind = {kind}" for kind in range(3)]
    async with churned(library, {"table": table, "where": where}, *flips, generations=3) as follower:
        await follower.reaches(await rows_of(database, table, where))
        assert refetches(follower) == 0
        async with Follower(library.api, table, where=where) as another:
            await another.reaches(await rows_of(database, table, where))
            assert len(another.messages) < len(follower.messages) / 2
            await database.execute(flips[0])
            await another.reaches(await rows_of(database, table, where))
        await follower.reaches(await rows_of(database, table, where))
    assert (await Verifier(library.dsn, library.nats_url)(shapes=True)).findings == []


async def test_who_comes_back_behind_the_purge_fetches_again(library: Library, database: asyncpg.Connection) -> None:
    table = await a_table(database)
    async with httpx.AsyncClient(base_url=library.api) as http:
        _, handle = await fetched(http, {"table": table})
        async with churned(library, {"table": table}):
            pass
        await library.kill("api")  # it may have all of it in memory
        await library.start("api")
        await library.active()
        old = {"table": table, "handle": handle, "offset": "0_inf"}

        async def refused() -> bool:
            answer = await http.get("/v1/shape", params=old)
            assert answer.status_code in (200, 409)
            return answer.status_code == 409

        await until(refused, "the log no longer reaches back")
        answer = await http.get("/v1/shape", params=old)
        another = answer.headers["electric-handle"]
        assert another != handle
        again = await http.get("/v1/shape", params={"table": table, "handle": another, "offset": "-1"})
        assert again.status_code == 200
        assert again.headers["electric-handle"] == another
        assert again.json()


@pytest.mark.parametrize("where", ["kind > 0", "kind::text ~ '[12]'"])
async def test_a_sync_that_is_killed_goes_on_with_every_generation(
    library: Library, database: asyncpg.Connection, where: str
) -> None:
    table = await a_table(database)
    query = {"table": table, "where": where}
    async with churned(library, query, generations=2) as follower:
        async with writing(library, table):
            for _ in range(3):
                before = renewals(library, table)
                await library.kill("sync")
                await library.start("sync")

                async def more(before: int = before) -> bool:
                    follower.check()
                    return renewals(library, table) > before

                await until(more, "another generation is made by the sync that took over")
        await follower.reaches(await rows_of(database, table, where))
        assert refetches(follower) == 0
        async with Follower(library.api, table, where=where) as another:
            await another.reaches(await rows_of(database, table, where))


async def test_a_shape_that_is_dropped_goes_with_all_its_generations(
    library: Library, database: asyncpg.Connection, shapes: Shapes
) -> None:
    table = await a_table(database)
    async with churned(library, {"table": table}, generations=2):
        pass
    record = (await shapes.ask(table)).record
    assert record is not None and record.continued is not None
    assert await shapes.drop(record.handle)
    for handle in (record.handle, record.log):
        assert not await shapes.is_open(handle)
        assert await shapes.stored(subjects.shape_snapshot(handle)) == []
    assert await shapes.stored(subjects.shape_log(record.log)) == []
    assert (await shapes.open(table)).record.log not in (record.handle, record.log)
