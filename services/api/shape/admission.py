"""How many requests are served at once, by kind: more than that are told to come again (protocol section 1.8). Pure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

Kind = Literal["initial", "existing", "live"]
"""Requests that start anew; those that go on with a handle; those of them that wait for changes."""


class Refused(Exception):
    """There are `most` requests of the kind already."""

    def __init__(self, kind: Kind, most: int) -> None:
        self.sentence = f"Concurrent {kind} request limit exceeded (limit: {most}), please retry"
        super().__init__(self.sentence)


class Admission:
    """Counts what is being served, each kind for itself: who waits takes no room from who reads."""

    def __init__(self, initial: int, live: int) -> None:
        self._most: dict[Kind, int] = {"initial": initial, "existing": live, "live": live}
        self._now: dict[Kind, int] = dict.fromkeys(self._most, 0)
        self._leave = {kind: partial(self._less, kind) for kind in self._most}

    def enter(self, kind: Kind) -> Callable[[], None] | None:
        """How to leave again, which must be done once; None when there are too many."""
        if self._now[kind] >= self._most[kind]:
            return None
        self._now[kind] += 1
        return self._leave[kind]

    @contextmanager
    def admitted(self, kind: Kind) -> Iterator[None]:
        """Raises Refused when there are too many."""
        leave = self.enter(kind)
        if leave is None:
            raise Refused(kind, self._most[kind])
        try:
            yield
        finally:
            leave()

    def _less(self, kind: Kind) -> None:
        self._now[kind] -= 1
