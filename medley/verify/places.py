"""Whether messages of CHANGES follow each other as they must: sequences without a gap, places that ascend, transactions
with an end, and nothing that Postgres has not written. Pure."""

from collections.abc import Iterator, Mapping

from medley.contracts import headers, streams
from medley.verify.findings import Finding, Kind

_REMEDY = "restart sync: it makes shapes afresh that lack something; keep the stream's folder for an inspection"


class Places:
    """Fed with one message after the other, by headers."""

    def __init__(self) -> None:
        self._sequence: int | None = None
        self._place = (0, -1)
        self._ended = True
        self.newest = 0
        """The highest LSN so far."""

    def message(self, sequence: int, named: Mapping[str, str]) -> Iterator[Finding]:
        place = int(named[headers.LSN]), int(named[headers.POSITION])
        if self._sequence is not None and sequence != self._sequence + 1:
            yield self._finding("gap", sequence, f"message {self._sequence} before it", f"message {sequence - 1}")
            self._ended = True
        if named.get(headers.MSG_ID, "").split(":")[:2] != [str(place[0]), str(place[1])]:
            found = f"the id {named.get(headers.MSG_ID)}"
            yield self._finding("offsets out of order", sequence, found, f"{place[0]}:{place[1]}, its place")
        elif place <= self._place:
            found = f"{place[0]}:{place[1]} after {self._place[0]}:{self._place[1]}"
            yield self._finding("offsets out of order", sequence, found, "places that ascend")
        elif place[0] != self._place[0] and not self._ended:
            found = f"another transaction before the end of {self._place[0]}"
            yield self._finding("unended transaction", sequence, found, "a message marked as its last")
        self._sequence, self._place = sequence, place
        self._ended = named[headers.LAST] == "true"
        self.newest = max(self.newest, place[0])

    def finish(self, written: int) -> Iterator[Finding]:
        """`written`: where the log of Postgres ends, asked after the last message was read."""
        if self.newest > written:
            found, needed = f"LSN {self.newest}", f"at most {written}, where the log of Postgres ends"
            yield self._finding("future", self._sequence or 0, found, needed)

    def _finding(self, kind: Kind, sequence: int, found: str, needed: str) -> Finding:
        return Finding("changes", kind, streams.CHANGES.name, f"message {sequence}", found, needed, _REMEDY)
