"""How far the logs have come: which LSN may be announced (`global_last_seen_lsn`), on an idle database, too. Pure.

The promise: no entry that is appended after an announcement has an LSN at or below the announced one. (An entry's LSN
is where its transaction's commit record *begins*. A client that heard P goes on from the offset `P_0`.)

Why it holds. Postgres sends transactions in the order of their commit records, and says in a keepalive, or at the end
of a commit, up to which LSN W it has read its log: a record that it has not read begins at W or later. Capture passes
W on as a `Mark` only outside of a transaction and after JetStream acked whatever it had published before, with the
sequence of the newest message of CHANGES. Once fan-out has processed that sequence, every commit that begins
below W is in the logs. A later one may begin exactly at W: so the position is W - 1, not W.
"""

from collections import deque
from typing import NamedTuple


class Mark(NamedTuple):
    """Capture's word: CHANGES holds, at or before `sequence`, every published change that was committed below `lsn`."""

    sequence: int
    lsn: int


class Reached(NamedTuple):
    """CHANGES is dealt with up to the whole transaction at `sequence`; no later one has an LSN at or below `lsn`.
    `place`: LSN of that transaction."""

    sequence: int
    lsn: int
    place: int = 0


class Progress:
    """Fed with the ends of transactions and with marks, in any interleaving. It never goes back."""

    def __init__(self, start: Reached) -> None:
        self._reached = start
        self._ends: deque[Reached] = deque()
        self._marks: deque[Mark] = deque()

    def transaction_ended(self, sequence: int, lsn: int) -> None:
        self._ends.append(Reached(sequence, lsn, lsn))

    def marked(self, mark: Mark) -> None:
        self._marks.append(mark)

    def at(self, sequence: int) -> Reached:
        """What is reached once every message up to `sequence` has been dealt with."""
        while self._ends and self._ends[0].sequence <= sequence:
            ended = self._ends.popleft()
            self._reached = Reached(ended.sequence, max(ended.lsn, self._reached.lsn), ended.place)
        while self._marks and self._marks[0].sequence <= sequence:
            lsn = self._marks.popleft().lsn - 1
            self._reached = self._reached._replace(lsn=max(lsn, self._reached.lsn))
        return self._reached
