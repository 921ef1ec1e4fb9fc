"""Crowds: many clients wait, and one write releases all of them; of one shape, or each of a shape of its own."""

import time
from collections.abc import Callable
from functools import partial

import asyncpg

from tests.bench.apart import Apart
from tests.bench.bare import Bare
from tests.bench.followers import Followers
from tests.bench.frame import Goal, Line, Sample
from tests.bench.latency import releases, spread
from tests.bench.stage import SERVICES, Stage, until
from tests.bench.usage import rss
from tests.bench.wire import shape_path

_DELIVERIES = 6_000
_LEAST, _MOST = 4, 30
_SETTLING = 15
_MANY = 1000


def _releases(clients: int) -> int:
    return min(max(_DELIVERIES // clients, _LEAST), _MOST)


def _figures(milliseconds: list[float], cpu: dict[str, float]) -> dict[str, float]:
    """CPU of the services and the bus, for each delivery."""
    spent = sum(seconds for name, seconds in cpu.items() if name in (*SERVICES, "nats"))
    figures = spread(milliseconds)
    return {**figures, "CPU us a delivery": spent / len(milliseconds) * 1e6} if cpu else figures


def _serving(stage: Stage) -> int:
    """Bytes resident of what holds the connections."""
    return sum(rss({name: pid for name, pid in stage.pids.items() if name in ("api", "server")}).values())


async def _released(stage: Stage, clients: int, path: Callable[[str, int], bytes]) -> Sample:
    async with stage.table() as (table, session):
        paths = [path(table, number) for number in range(clients)]
        async with stage.client(Followers, stage.api, paths[:1]) as first:
            await first.ask("live")  # the shape is there: memory taken from here on is the clients'
        await stage.quiet(_SETTLING)
        before = _serving(stage)
        async with stage.client(Followers, stage.api, paths) as crowd:
            await crowd.ask("live")
            await stage.quiet(_SETTLING)
            after = _serving(stage)
            await releases(session, table, crowd, 1, clients)
            with stage.metered() as used:
                found = await _rounds(stage, session, table, crowd, clients)
            await crowd.ask("close")
        figures = _figures(found, dict(used().cpu))
        if stage.pids:
            figures["KiB a client"] = (after - before) / clients / 1024
        return Sample(figures, len(found), used())


async def _rounds(stage: Stage, session: asyncpg.Connection, table: str, crowd: Apart, clients: int) -> list[float]:
    found = []
    for _ in range(_releases(clients)):
        found += await releases(session, table, crowd, 1, clients)
        if clients >= _MANY:  # all of them have asked again
            await stage.quiet(5)
    return found


async def one_shape(stage: Stage, clients: int) -> Sample:
    return await _released(stage, clients, lambda table, _: shape_path(table))


async def shape_each(stage: Stage, clients: int) -> Sample:
    """Each clause is another one, and every row fits all of them."""

    def path(table: str, number: int) -> bytes:
        params = {"params[1]": "1", "params[2]": str(-number - 1)}
        return shape_path(table, "playlist_id = $1 AND id > $2", params)

    return await _released(stage, clients, path)


async def _all_wait(server: Apart, clients: int) -> bool:
    return bool(await server.ask("waits") == clients)


async def bare_release(stage: Stage, clients: int) -> Sample:
    """A program that holds so many connections writes the same bytes to each, when told to."""
    async with stage.client(Bare) as server:
        address = await server.ask("listen")
        async with stage.client(Followers, address, [shape_path("bench")] * clients) as crowd:
            await crowd.ask("live")
            found: list[float] = []
            for _ in range(_releases(clients)):
                await until(partial(_all_wait, server, clients), "all connections wait")
                sent = time.perf_counter()
                await server.ask("release")
                found += [
                    (at - sent) * 1000 for at, many in await crowd.ask("arrivals", clients, 60) for _ in range(many)
                ]
            await crowd.ask("close")
        return Sample(spread(found), len(found))


_BARE = "a program that writes ready bytes to as many connections"
LINES = [
    Line(
        *("crowds", "one shape, waiting clients are released", "clients", (100, 1000, 3000, 10_000), (100,)),
        *(one_shape, bare_release, _BARE),
        goals=(
            Goal("p50 ms", "<=", 5, (100,), peer="11-15"),
            Goal("p99 ms", "<=", 15, (100,), peer="29-75"),
            Goal("p50 ms", "<=", 40, (1000,), peer="140-166"),
            Goal("p99 ms", "<=", 80, (1000,), peer="320-381"),
            Goal("p99 ms", "<=", 800, (10_000,)),
            Goal("CPU us a delivery", "<=", 60, peer="490-620"),
            Goal("KiB a client", "<=", 10, (1000, 3000, 10_000)),
        ),
        operation="delivery",
        once=10_000,
    ),
    Line(
        *("crowds", "one write hits many shapes, each with a client", "shapes", (100, 1000, 3000, 10_000), (100,)),
        *(shape_each, bare_release, _BARE),
        goals=(
            Goal("p50 ms", "<=", 8, (100,), peer="39"),
            Goal("CPU us a delivery", "<=", 100, peer="1,500"),
        ),
        operation="delivery",
        once=3000,
    ),
]
