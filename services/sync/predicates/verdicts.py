"""What Postgres said about the rows of the messages at hand. Pure.

A shape whose clause Postgres decides asks here, and only about rows that were evaluated for it: anything else is a
fault of ours, and raises instead of guessing. Rows go by their identity, so they are kept alive as long as what is said
of them.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

Row = Mapping[str, str | None]
S = TypeVar("S")


class Unknown(RuntimeError):
    """A row that was not evaluated."""


class Verdicts(Generic[S]):
    """For each row, the shapes that it is in, by handle."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._true: dict[int, Mapping[str, S]] = {}

    def clear(self) -> None:
        self._rows.clear()
        self._true.clear()

    def evaluated(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows[id(row)] = row

    def is_true(self, row: Row, shapes: Mapping[str, S]) -> None:
        """For these shapes; the mapping is kept, since many rows may share one, and is not written to."""
        if shapes:
            known = self._true.get(id(row))
            self._true[id(row)] = {**known, **shapes} if known else shapes

    def of(self, row: Row | None) -> Mapping[str, S]:
        """The shapes that the row is in; none of them for no row, and for one of a table without such shapes."""
        return self._true.get(id(row), {}) if row is not None else {}

    def matches(self, handle: str, row: Row) -> bool:
        """Raises Unknown."""
        if id(row) not in self._rows:
            raise Unknown(f"a row was not evaluated before shape {handle} asked about it")
        return handle in self._true.get(id(row), {})


class Evaluated(Generic[S]):
    """The clause of one shape, as the encoder asks it."""

    def __init__(self, handle: str) -> None:
        self._handle = handle
        self.verdicts: Verdicts[S] = Verdicts()

    def matches(self, row: Row) -> bool:
        return self.verdicts.matches(self._handle, row)
