"""Latency: from the sending of an INSERT until a live client has its row, on a quiet library and under a load."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.bench.apart import Apart
from tests.bench.followers import Followers
from tests.bench.frame import Goal, Line, Sample, Wrong
from tests.bench.stage import Stage
from tests.bench.wire import shape_path
from tests.bench.writing import FILLER, median, pgbench, quantile, single, written

_WARMING, _PAUSE = 20, 0.008
_FIFTH = 5


@asynccontextmanager
async def following(stage: Stage, table: str, events: bool = False, keep: bool = False) -> AsyncIterator[Apart]:
    """One live client of a whole table that has caught up."""
    async with stage.client(Followers, stage.api, [shape_path(table)], events, keep) as client:
        await client.ask("live")
        yield client
        await client.ask("close")


async def releases(session: asyncpg.Connection, table: str, client: Apart, count: int, rows: int = 1) -> list[float]:
    """Insert a row so many times; each time wait until it has come `rows` times. The milliseconds of all of them."""
    insert = await session.prepare(f"INSERT INTO {table} (playlist_id, title, filler) VALUES (1, 'a title', $1)")
    found = []
    for _ in range(count):
        sent = time.perf_counter()
        await insert.fetch(FILLER)
        arrivals = await client.ask("arrivals", rows, 60)
        found += [(at - sent) * 1000 for at, many in arrivals for _ in range(many)]
        await asyncio.sleep(_PAUSE)
    return found


def spread(milliseconds: list[float]) -> dict[str, float]:
    return {"p50 ms": median(milliseconds), "p99 ms": quantile(milliseconds, 0.99)}


async def _quiet(stage: Stage, count: int, events: bool) -> Sample:
    async with stage.table() as (table, session), following(stage, table, events) as client:
        await releases(session, table, client, _WARMING)
        await stage.quiet(5)
        with stage.metered() as used:
            found = await releases(session, table, client, count)
        return Sample(spread(found), count, used())


async def long_poll(stage: Stage, count: int) -> Sample:
    return await _quiet(stage, count, events=False)


async def events(stage: Stage, count: int) -> Sample:
    return await _quiet(stage, count, events=True)


async def insert_alone(stage: Stage, count: int) -> Sample:
    """The same insert, until Postgres has acknowledged it; nobody follows."""
    async with stage.table(stage.bare) as (table, session):
        insert = await session.prepare(f"INSERT INTO {table} (playlist_id, title, filler) VALUES (1, 'a title', $1)")
        found = []
        for number in range(_WARMING + count):
            sent = time.perf_counter()
            await insert.fetch(FILLER)
            if number >= _WARMING:
                found.append((time.perf_counter() - sent) * 1000)
            await asyncio.sleep(_PAUSE)
        return Sample(spread(found), count)


_SECONDS, _LONG = 8, 60


def _transactions(rate: int) -> int:
    return rate * (_LONG if rate == 1000 else _SECONDS)


async def under_load(stage: Stage, rate: int) -> Sample:
    """Single-row transactions at a rate; each row carries the time of its insert."""
    async with stage.table() as (table, session), following(stage, table, keep=True) as client:
        await stage.quiet(5)
        with stage.metered() as used:
            await pgbench(stage.dsn, single(table), 4, _transactions(rate), rate)
            rows = (await written(session, table)).rows
            await client.ask("arrivals", rows, 120)
        if await client.ask("distinct") != (rows, rows):
            raise Wrong(f"{rows} rows were written, and the client has other ones")
        found = [seconds * 1000 for seconds in await client.ask("delays")]
        part = max(len(found) // _FIFTH, 1)
        figures = {"p50 ms": median(found), "p95 ms": quantile(found, 0.95), "p99 ms": quantile(found, 0.99)}
        figures["p50 grew by ms"] = median(found[-part:]) - median(found[:part])
        return Sample(figures, rows, used())


async def load_alone(stage: Stage, rate: int) -> Sample:
    """The transactions alone, as pgbench times them, from when they were due."""
    async with stage.table(stage.bare) as (table, _):
        found = await pgbench(stage.bare, single(table), 4, rate * _SECONDS, rate)
        figures = {"p50 ms": median(found), "p95 ms": quantile(found, 0.95), "p99 ms": quantile(found, 0.99)}
        return Sample(figures, len(found))


_ALONE = "the same INSERT, acknowledged by a Postgres that nobody follows"
LINES = [
    Line(
        *(
            "latency",
            "insert sent to row received, long poll",
            "inserts",
            (400,),
            (60,),
            long_poll,
            insert_alone,
            _ALONE,
        ),
        goals=(Goal("p50 ms", "<=", 2.2, peer="2.5-3.1"), Goal("p99 ms", "<=", 5, peer="4.4-5.5")),
    ),
    Line(
        *("latency", "insert sent to row received, SSE", "inserts", (400,), (60,), events, insert_alone, _ALONE),
        goals=(Goal("p50 ms", "<=", 2.2, peer="2.5-3.1"), Goal("p99 ms", "<=", 5, peer="4.4-5.5")),
    ),
    Line(
        *("latency", "insert to row received under load", "transactions/s"),
        sizes=(100, 300, 1000, 2000),
        quick=(100,),
        measure=under_load,
        limit=load_alone,
        limited_by="the same transactions at the same rate, as pgbench times them, on a Postgres that nobody follows",
        goals=(
            Goal("p50 ms", "<=", 0, (1000,), peer="2,240 after 10 s"),
            Goal("p95 ms", "<=", 10, (1000,)),
            Goal("p50 grew by ms", "<=", 1, (1000,), peer="growing"),
        ),
        once=1000,
    ),
]
