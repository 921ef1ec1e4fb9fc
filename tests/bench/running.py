"""Runs lines: ours and the limit in turns, size by size, with a word on standard error about how far it is."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from itertools import groupby
from typing import Any

from tests.bench.frame import Line, Result, TooSlow, Wrong
from tests.bench.stage import Stage

_UNKNOWN = 15.0  # seconds of a size that was never measured
_PATIENCE = 600.0


def plan(lines: Sequence[Line], quick: bool) -> list[tuple[Line, int]]:
    """Families one after the other; within one, all lines at a size, then the next size."""
    found: list[tuple[Line, int]] = []
    for _, family in groupby(lines, key=lambda line: line.family):
        members = list(family)
        sizes = sorted({size for line in members for size in (line.quick if quick else line.sizes)})
        found += [(line, size) for size in sizes for line in members if size in (line.quick if quick else line.sizes)]
    return found


class Progress:
    """`known`: seconds that each size took last time, by line and size."""

    def __init__(self, steps: list[tuple[Line, int]], known: dict[tuple[str, int], float]) -> None:
        self._left = list(steps)
        self._known = known
        self._number, self._all = 0, len(steps)

    @contextmanager
    def step(self, line: Line, size: int) -> Iterator[None]:
        self._number += 1
        self._line, self._size, self._started = line, size, time.monotonic()
        yield
        self._left.pop(0)

    def say(self, what: str) -> None:
        left = sum(self._known.get((line.name, size), _UNKNOWN) for line, size in self._left)
        left = max(left - (time.monotonic() - self._started), 0) / 60
        where = f"{self._line.family}: {self._line.name}, {self._size:,} {self._line.unit}"
        print(f"[{self._number}/{self._all}] {where}: {what} (about {left:.0f} min left)", file=sys.stderr, flush=True)


Open = Callable[[], AbstractAsyncContextManager[Stage]]


async def run(
    open_: Open, steps: list[tuple[Line, int]], runs: int, progress: Progress
) -> tuple[list[Result], dict[str, Any]]:
    """The results, and what the stage says of itself. Each family has a stage of its own."""
    results: list[Result] = []
    info: dict[str, Any] = {}
    for family, members in groupby(steps, key=lambda step: step[0].family):
        print(f"{family}: starting the servers …", file=sys.stderr, flush=True)
        async with open_() as stage:
            info = stage.info
            results += [await _result(stage, line, size, runs, progress) for line, size in members]
    return results, info


async def _result(stage: Stage, line: Line, size: int, runs: int, progress: Progress) -> Result:
    with progress.step(line, size):
        started = time.monotonic()
        result = Result(line, size)
        await _measure(stage, result, line.runs(size, runs), progress)
        result.seconds = time.monotonic() - started
    return result


async def _measure(stage: Stage, result: Result, runs: int, progress: Progress) -> None:
    """A line that fails says why, and the bench goes on."""
    line, size = result.line, result.size
    try:
        for number in range(runs):
            progress.say(f"run {number + 1} of {runs}")
            async with asyncio.timeout(_PATIENCE):
                result.ours.append(await line.measure(stage, size))
            if line.limit is not None:
                progress.say(f"run {number + 1} of {runs}, the limit")
                async with asyncio.timeout(_PATIENCE):
                    result.limits.append(await line.limit(stage, size))
    except TooSlow as reason:
        result.failure = str(reason)
        result.ours += [reason.sample] if reason.sample else []
    except Wrong as reason:
        result.failure = str(reason)
    except Exception as error:
        result.failure = f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error) else ''}"
    if result.failure:
        progress.say(f"no figure: {result.failure}")
