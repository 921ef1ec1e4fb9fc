"""What a follower has after each transaction, against what SELECT said when that was committed. Pure.

Transactions that had piled up may be shown as one: then the copy must equal what was before the first of them, and what
was after the last.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.oracle.copies import Message, StrictCopy
from tests.oracle.truth import Rows


@dataclass
class Commit:
    """A transaction of the only writer. `truths`: by shape, its rows after it, where these are known."""

    xid: int
    truths: dict[int, Rows | str] = field(default_factory=dict)


class Boundaries:
    """Of one shape and one batch. `single`: transactions are never shown as one."""

    def __init__(
        self, copy: StrictCopy, columns: Sequence[str], truths: Sequence[Rows | str | None], single: bool
    ) -> None:
        """`truths`: after each transaction that the copy may lack, and before the first of them."""
        self._copy = copy
        self._columns = columns
        self._truths = truths
        self._single = single
        self._reached = 0
        self.faults: list[str] = []
        self.checked = 0

    def snapshot(self) -> None:
        """The copy is what the first truth says."""
        self._compare(0, "its snapshot is of")

    def apply(self, entries: Sequence[Message], places: Mapping[int, int]) -> None:
        """`places`: the number of each transaction among the truths."""
        for group in _transactions(entries):
            mine = sorted(places[xid] for xid in group[0]["headers"]["txids"] if xid in places)
            if mine:
                self._unchanged(mine[0] - 1)
            if self._single and self._differs(mine):
                self.faults.append(f"transactions {mine} are shown as one")
            self._copy.log(group)
            if mine:
                self._reached = mine[-1]
                self._compare(mine[-1], "is shown")

    def end(self) -> None:
        self._unchanged(len(self._truths) - 1)

    def _differs(self, together: Sequence[int]) -> bool:
        """Whether there was anything to see between them: those that changed nothing are given again after a restart,
        with the first that does."""
        known = [self._truths[place] for place in range(together[0] - 1, together[-1])] if together else []
        seen = [sorted(one, key=repr) for one in known if one is not None and not isinstance(one, str)]
        return any(one != seen[0] for one in seen[1:])

    def _unchanged(self, until: int) -> None:
        """Transactions that nothing was shown of changed nothing."""
        for place in range(self._reached + 1, until + 1) if self._single else (until,):
            if place > self._reached:
                self._compare(place, "is not shown")

    def _compare(self, place: int, what: str) -> None:
        truth = self._truths[place]
        if truth is None or isinstance(truth, str):
            return
        self.checked += 1
        have = sorted((tuple(row.get(name) for name in self._columns) for row in self._copy.rows), key=repr)
        wanted = sorted(truth, key=repr)
        if have != wanted:
            missing, extra = [one for one in wanted if one not in have], [one for one in have if one not in wanted]
            self.faults.append(f"after transaction {place}, which {what}: missing {missing[:2]}, extra {extra[:2]}")


def _transactions(entries: Sequence[Message]) -> Iterator[list[Message]]:
    group: list[Message] = []
    for entry in entries:
        group.append(entry)
        if entry["headers"].get("last"):
            yield group
            group = []
    if group:
        yield group
