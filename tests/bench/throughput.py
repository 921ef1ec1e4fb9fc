"""Throughput: sustained changes into one shape of a whole table, with a live client that must have them all."""

from tests.bench.frame import Goal, Line, Sample, Wrong
from tests.bench.latency import following
from tests.bench.stage import Stage
from tests.bench.writing import Written, many, pgbench, single, written

_ROWS = 60_000
_FEW = 8000
"""Rows of single-row transactions."""


def received(written_: Written, at: float, operations: int) -> dict[str, float]:
    """Rates from the first insert to the last arrival, beside that of the writers; how far behind the end was."""
    return {
        "rows/s": operations / max(at - written_.first, 1e-6),
        "rows/s committed meanwhile": written_.rate,
        "behind at the end ms": (at - written_.last) * 1000,
    }


async def _followed(stage: Stage, script: str, sessions: int, transactions: int, table_script: str = "") -> Sample:
    async with stage.table() as (table, session), following(stage, table, keep=True) as client:
        await stage.quiet(5)
        with stage.metered() as used:
            await pgbench(stage.dsn, script.replace("TABLE", table), sessions, transactions)
            done = await written(session, table)
            await client.ask("arrivals", done.rows, 180)
        if await client.ask("distinct") != (done.rows, done.rows):
            raise Wrong(f"{done.rows} rows were written, and the client has other ones")
        return Sample(received(done, await client.ask("last"), done.rows), done.rows, used())


async def _alone(stage: Stage, script: str, sessions: int, transactions: int) -> Sample:
    async with stage.table(stage.bare) as (table, session):
        await pgbench(stage.bare, script.replace("TABLE", table), sessions, transactions)
        done = await written(session, table)
        return Sample({"rows/s": done.rate}, done.rows)


def _of_many(rows: int) -> tuple[str, int, int]:
    return many("TABLE", rows), 4, max(_ROWS // rows, 4)


async def batches(stage: Stage, rows: int) -> Sample:
    return await _followed(stage, *_of_many(rows))


async def batches_alone(stage: Stage, rows: int) -> Sample:
    return await _alone(stage, *_of_many(rows))


async def singles(stage: Stage, writers: int) -> Sample:
    return await _followed(stage, single("TABLE"), writers, _FEW)


async def singles_alone(stage: Stage, writers: int) -> Sample:
    return await _alone(stage, single("TABLE"), writers, _FEW)


async def large(stage: Stage, rows: int) -> Sample:
    return await _followed(stage, many("TABLE", rows), 1, 1)


async def large_alone(stage: Stage, rows: int) -> Sample:
    return await _alone(stage, many("TABLE", rows), 1, 1)


_BARE = "the same transactions into a Postgres that nobody follows"
LINES = [
    Line(
        *("throughput", "transactions of many rows", "rows each", (10, 100, 1000), (100, 1000)),
        *(batches, batches_alone, _BARE),
        goals=(Goal("rows/s", ">=", 30_000, (100,), peer="4,080-5,370"),),
    ),
    Line(
        *("throughput", "single-row transactions", "writers", (1, 2, 4), (4,), singles, singles_alone, _BARE),
        goals=(
            Goal("behind at the end ms", "<=", 50, (4,), peer="10,000"),
            Goal("rows/s", ">=", 0, (4,), peer="1,240-1,460"),
        ),
    ),
    Line(
        *("throughput", "one transaction", "rows", (1000, 20_000, 100_000), (1000,), large, large_alone, _BARE),
        goals=(Goal("rows/s", ">=", 100_000, (20_000,), peer="30,000-35,000"),),
    ),
]
