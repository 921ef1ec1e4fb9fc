"""The words of the bench: a line is measured on a stage at sizes, beside a limit, and held against goals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.bench.stage import Stage


class Wrong(Exception):
    """What was counted at the clients is not what was written: there is no figure."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was taken while a sample was measured: seconds of CPU and the peak of resident bytes, by name of program.

    `client` is the CPU of whatever writes and reads: it is none of what is measured.
    """

    cpu: Mapping[str, float] = field(default_factory=dict)
    rss: Mapping[str, int] = field(default_factory=dict)
    client: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Figures by name ("p50 ms"); `operations` is what CPU is divided by."""

    figures: Mapping[str, float]
    operations: int = 0
    used: Used = field(default_factory=Used)


class TooSlow(Exception):
    """A size was not reached in the time that it has; says what was, and has the figures so far."""

    def __init__(self, text: str, sample: Sample | None = None) -> None:
        super().__init__(text)
        self.sample = sample


Measure = Callable[["Stage", int], Awaitable[Sample]]
Sign = Literal["<=", ">="]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must reach, at some sizes (none named: at all).

    `of` says what `value` is a part of: nothing (a plain number), the limit of the same run, or the same figure at
    another size. 0 is no goal. `peer`: what Electric 1.7.12 does on the same kind of machine, as measured elsewhere.
    """

    figure: str
    sign: Sign
    value: float
    sizes: tuple[int, ...] = ()
    of: Literal["limit"] | int | None = None
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bench. `quick`: the sizes of a short look. `operation`: one of what is counted.

    `ours_only`: another server cannot be measured by it. `once`: sizes from here on are measured once, for the time
    they take. Lines of one `family` are measured size by size, so that one may use what another has opened.
    """

    family: str
    name: str
    unit: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    measure: Measure
    limit: Measure | None = None
    limited_by: str = ""
    goals: tuple[Goal, ...] = ()
    operation: str = "row"
    ours_only: bool = False
    once: int | None = None

    def runs(self, size: int, runs: int) -> int:
        """Sizes that no goal is about are there for the curve: once."""
        about = {number for goal in self.goals for number in (*goal.sizes, goal.of)}
        judged = size in about or any(not goal.sizes for goal in self.goals)
        return runs if judged and (self.once is None or size < self.once) else 1


@dataclass(slots=True)
class Result:
    """What became of one line at one size."""

    line: Line
    size: int
    ours: list[Sample] = field(default_factory=list)
    limits: list[Sample] = field(default_factory=list)
    failure: str = ""
    seconds: float = 0.0
