"""Shapes: how many can be open, and what a change then costs that concerns one of them.

One table has them all, and they stay open while the bench goes on to the next size: lines run in this order.
"""

from dataclasses import dataclass

import asyncpg

from tests.bench.followers import Followers
from tests.bench.frame import Goal, Line, Sample, TooSlow, Wrong
from tests.bench.latency import insert_alone, releases, spread
from tests.bench.openings import Openings
from tests.bench.stage import Stage
from tests.bench.throughput import received
from tests.bench.wire import shape_path
from tests.bench.writing import many, pgbench, single, written

_CONNECTIONS = 32
_SECONDS = 150.0
_INSERTS, _WARMING = 200, 10
_ROWS, _FEW = 30_000, 6_000
_CHECKED = 50
_SPREAD = 20_000


@dataclass
class _Opened:
    table: str
    session: asyncpg.Connection
    shapes: int = 0
    is_full: bool = False
    """There was no time for more."""


def _path(table: str, playlist: int) -> bytes:
    return shape_path(table, "playlist_id = $1", {"params[1]": str(playlist)})


async def _opened(stage: Stage, shapes: int = 0) -> _Opened:
    """The table, which is there until the stage ends. Raises TooSlow where so many are not open."""
    if "opened" not in stage.kept:
        table, session = await stage.held.enter_async_context(stage.table())
        await session.execute(f"CREATE INDEX ON {table} (playlist_id)")
        stage.kept["opened"] = _Opened(table, session)
    opened: _Opened = stage.kept["opened"]
    if opened.shapes < shapes:
        raise TooSlow(f"{opened.shapes:,} shapes are open")
    return opened


async def opening(stage: Stage, shapes: int) -> Sample:
    """Those that are not open yet."""
    opened = await _opened(stage)
    if opened.is_full:
        raise TooSlow(f"{opened.shapes:,} shapes are open")
    wanted = shapes - opened.shapes
    async with stage.client(Openings, stage.api, opened.table, _CONNECTIONS) as client:
        with stage.metered() as used:
            count, seconds = await client.ask("open", opened.shapes + 1, shapes, _SECONDS)
    opened.shapes += count
    await stage.quiet()
    figures = {"openings/s": count / seconds, "open": float(opened.shapes)}
    if count < wanted:
        opened.is_full = True
        said = f"{opened.shapes:,} of {shapes:,} shapes were open after {seconds:,.0f} s"
        raise TooSlow(said, Sample(figures, count, used()))
    if stage.pids:
        figures["MB of all services"] = stage.memory()
    return Sample(figures, count, used())


async def quiet(stage: Stage, shapes: int) -> Sample:
    opened = await _opened(stage, shapes)
    async with stage.client(Followers, stage.api, [_path(opened.table, 1)]) as client:
        await client.ask("live")
        await stage.quiet(10)
        await releases(opened.session, opened.table, client, _WARMING)
        with stage.metered() as used:
            found = await releases(opened.session, opened.table, client, _INSERTS)
        await client.ask("close")
        return Sample(spread(found), _INSERTS, used())


async def _hit(stage: Stage, shapes: int, rows: int, script: str, transactions: int) -> Sample:
    """Each row hits one of the shapes; the client of the first is told by a last row that all went by."""
    opened = await _opened(stage, shapes)
    table, session = opened.table, opened.session
    newest = await session.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}")
    async with stage.client(Followers, stage.api, [_path(table, 1)], False, True) as client:
        await client.ask("live")
        await stage.quiet(10)
        with stage.metered() as used:
            await pgbench(stage.dsn, script.replace("TABLE", table), 4, transactions)
            await session.execute(f"INSERT INTO {table} (playlist_id, title) VALUES (1, 'the last')")
            done = await written(session, table, f"id > {newest}")
            mine = await session.fetchval(f"SELECT count(*) FROM {table} WHERE id > {newest} AND playlist_id = 1")
            await client.ask("arrivals", mine, 300)
        at = await client.ask("last")
        await client.ask("close")
    await _check(stage, opened, shapes)
    return Sample(received(done, at, done.rows), done.rows, used())


async def _check(stage: Stage, opened: _Opened, shapes: int) -> None:
    """Some of the shapes are what SELECT says."""
    step = max(shapes // _CHECKED, 1)
    numbers = list(range(1, shapes + 1, step))
    async with stage.client(Followers, stage.api, [_path(opened.table, number) for number in numbers]) as client:
        there = await client.ask("live")
        await client.ask("close")
    held = f"SELECT count(*) FROM {opened.table} WHERE playlist_id = ANY ($1)"
    if there != (rows := await opened.session.fetchval(held, numbers)):
        raise Wrong(f"{len(numbers)} shapes hold {there} rows, and SELECT says {rows}")


async def batches(stage: Stage, shapes: int) -> Sample:
    return await _hit(stage, shapes, _ROWS, many("TABLE", 100, shapes), _ROWS // 100)


async def singles(stage: Stage, shapes: int) -> Sample:
    return await _hit(stage, shapes, _FEW, single("TABLE", shapes), _FEW)


async def _alone(stage: Stage, script: str, transactions: int) -> Sample:
    async with stage.table(stage.bare) as (table, session):
        await session.execute(f"CREATE INDEX ON {table} (playlist_id)")
        await pgbench(stage.bare, script.replace("TABLE", table), 4, transactions)
        done = await written(session, table)
        return Sample({"rows/s": done.rate}, done.rows)


async def batches_alone(stage: Stage, shapes: int) -> Sample:
    return await _alone(stage, many("TABLE", 100, shapes), _ROWS // 100)


async def singles_alone(stage: Stage, shapes: int) -> Sample:
    return await _alone(stage, single("TABLE", shapes), _FEW)


async def inserts(stage: Stage, _: int) -> Sample:
    return await insert_alone(stage, _INSERTS)


async def spread_over(stage: Stage, shapes: int) -> Sample:
    """Inserts spread over shapes, each with a live client; all clients together must have all rows."""
    async with stage.table() as (table, session):
        await session.execute(f"CREATE INDEX ON {table} (playlist_id)")
        paths = [_path(table, number) for number in range(1, shapes + 1)]
        async with stage.client(Followers, stage.api, paths, False, True) as clients:
            await clients.ask("live")
            await stage.quiet(10)
            with stage.metered() as used:
                await pgbench(stage.dsn, single(table, shapes), 4, _SPREAD)
                done = await written(session, table)
                await clients.ask("arrivals", done.rows, 300)
            if await clients.ask("distinct") != (done.rows, done.rows):
                raise Wrong(f"{done.rows} rows were written, and the clients have other ones")
            at = await clients.ask("last")
            await clients.ask("close")
        return Sample(received(done, at, done.rows), done.rows, used())


async def spread_alone(stage: Stage, shapes: int) -> Sample:
    return await _alone(stage, single("TABLE", shapes), _SPREAD)


_SIZES = (1, 1000, 10_000, 100_000)
_BARE = "the same transactions into a Postgres that nobody follows"
_NEVER = 0
LINES = [
    Line(
        *("shapes", "opening shapes playlist_id = $1", "shapes open", _SIZES, (100,), opening),
        goals=(
            Goal("openings/s", ">=", 1000, _SIZES[1:], peer="170-220"),
            Goal("MB of all services", "<=", 500, (100_000,)),
        ),
        operation="shape",
        once=_NEVER,
    ),
    Line(
        *("shapes", "insert to row received, many shapes", "shapes open", _SIZES, (100,), quiet, inserts),
        limited_by="the same INSERT, acknowledged by a Postgres that nobody follows",
        goals=(Goal("p50 ms", "<=", 2.5, (1000,), peer="3.4-4.2"),),
    ),
    Line(
        *("shapes", "transactions of 100 rows, each hits one", "shapes open", _SIZES, (100,), batches, batches_alone),
        limited_by=_BARE,
        goals=(Goal("rows/s", ">=", 0.8, (10_000, 100_000), of=1),),
    ),
    Line(
        *("shapes", "single-row transactions, each hits one", "shapes open", _SIZES, (100,), singles, singles_alone),
        limited_by=_BARE,
        goals=(Goal("rows/s", ">=", 0.8, (10_000, 100_000), of=1),),
    ),
    Line(
        *("spread", "20,000 inserts spread over shapes with clients", "shapes", (10, 100, 1000), (10,)),
        *(spread_over, spread_alone, _BARE),
        goals=(
            Goal("rows/s", ">=", 5000, (100,), peer="530"),
            Goal("behind at the end ms", "<=", 50, (100,)),
        ),
    ),
]
