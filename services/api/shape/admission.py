"""How many requests are served at once, by kind: more than that are told to come again (protocol section 1.8). Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Kind = Literal["initial", "live"]


class Refused(Exception):
    """There are `most` requests of the kind already."""

    def __init__(self, kind: Kind, most: int) -> None:
        self.sentence = f"Concurrent {kind} request limit exceeded (limit: {most}), please retry"
        super().__init__(self.sentence)


class Admission:
    """Counts what is being served. `initial`: requests that start anew; `live`: those that go on with a handle."""

    def __init__(self, initial: int, live: int) -> None:
        self._most: dict[Kind, int] = {"initial": initial, "live": live}
        self._now: dict[Kind, int] = {"initial": 0, "live": 0}

    @contextmanager
    def admitted(self, kind: Kind) -> Iterator[None]:
        """Raises Refused when there are too many."""
        if self._now[kind] >= self._most[kind]:
            raise Refused(kind, self._most[kind])
        self._now[kind] += 1
        try:
            yield
        finally:
            self._now[kind] -= 1
