"""Routing: how fast a change finds its shapes, in this process and without a bus; and what Postgres decides."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.bench import many, router
from tests.bench.frame import Line, Measure, Sample
from tests.bench.stage import Stage


def _here(measure: Callable[[int], dict[str, float]]) -> Measure:
    async def run(_: Stage, size: int) -> Sample:
        return Sample(await asyncio.to_thread(measure, size))

    return run


def _asked(measure: Callable[[str, int], Awaitable[dict[str, float]]]) -> Measure:
    async def run(stage: Stage, size: int) -> Sample:
        return Sample(await measure(stage.bare, size))

    return run


_SIZES = (1, 1000, 10_000, 100_000)
_UNINDEXED = (100, 1000)
LINES = [
    Line(
        *("routing", "playlist_id = $1 finds its shapes", "shapes", _SIZES, (1000,), _here(router.equalities)),
        ours_only=True,
    ),
    Line(
        *("routing", "ranges find their shapes", "shapes", _SIZES[1:3], (1000,), _here(router.ranges)), ours_only=True
    ),
    Line(
        *("routing", "prefixes find their shapes", "shapes", _SIZES[1:3], (1000,), _here(router.prefixes)),
        ours_only=True,
    ),
    Line(*("routing", "memory of a shape", "shapes", _SIZES[1:], (1000,), _here(router.memory)), ours_only=True),
    Line(
        *("routing", "metadata ? key, asked of Postgres", "shapes", _UNINDEXED, (100,), _asked(many.by_key)),
        ours_only=True,
    ),
    Line(
        *("routing", "(metadata ->> 'bpm')::numeric > $1, asked of Postgres", "shapes", _UNINDEXED, (100,)),
        _asked(many.without_index),
        ours_only=True,
    ),
    Line(
        *("routing", "metadata @> artist, looked up first", "shapes", _UNINDEXED, (100,), _asked(many.with_index)),
        ours_only=True,
    ),
]
