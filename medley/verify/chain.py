"""Whether the messages of one shape are all there and in order, by their headers and offsets alone. Pure.

A log message names the offset that stands before it, so one that lacks is noticed by the next; what lacks at the end,
the rows tell. Up to the announced position a transaction in the log has its end.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from medley.contracts import headers
from medley.contracts.offsets import SNAPSHOT_END, Offset
from medley.verify.findings import Finding, Kind

Entry = dict[str, Any]
REMEDY = "drop the shape (--repair): clients fetch it again"


class Chain:
    """The log of one shape, message by message. `begin`: what is before it need not be there; `end`: every transaction
    below this LSN is to be whole."""

    def __init__(self, handle: str, end: int, begin: Offset = SNAPSHOT_END) -> None:
        self._handle = handle
        self._begin = begin
        self._end = end
        self._last = SNAPSHOT_END
        self._said = SNAPSHOT_END
        self._ended = True

    def message(self, named: Mapping[str, str], entries: list[Entry]) -> Iterator[Finding]:
        after, offset = Offset.parse(named[headers.AFTER]), Offset.parse(named[headers.OFFSET])
        if self._said == SNAPSHOT_END and after <= self._begin:
            self._said = self._last = after
        if after != self._said:
            yield self._finding("gap", str(self._said), f"a message that follows {after}", f"one after {self._said}")
            self._ended = True  # what lacks may have been the end
        self._said = offset
        for entry in entries:
            yield from self._entry(entry)
        if self._last != offset:
            yield self._finding("offsets out of order", str(offset), f"{self._last} as its last entry", f"{offset}")
        # The other way round is right: an end may share its message with the beginning of what follows.
        if named[headers.LAST] == "true" and not self._ended:
            yield self._finding("unended transaction", str(offset), "a last message without a last entry", "both")

    def _entry(self, entry: Entry) -> Iterator[Finding]:
        here = offset_of(entry)
        if here <= self._last:
            yield self._finding("offsets out of order", str(here), f"it after {self._last}", "offsets that ascend")
        elif here.tx != self._last.tx and not self._ended:
            yield self._unended()
        self._last = here
        self._ended = bool(entry["headers"].get("last"))

    def finish(self) -> Iterator[Finding]:
        if not self._ended and self._last.tx < self._end:
            yield self._unended()

    def _unended(self) -> Finding:
        return self._finding("unended transaction", str(self._last), "no entry marked as its last", "one")

    def _finding(self, kind: Kind, place: str, found: str, needed: str) -> Finding:
        return Finding("shape", kind, self._handle, place, found, needed, REMEDY)


class Parts:
    """The snapshot of one shape, part by part."""

    def __init__(self, handle: str) -> None:
        self._handle = handle
        self._next = 0
        self._final = False

    def message(self, named: Mapping[str, str]) -> Iterator[Finding]:
        number = int(named[headers.PART])
        if number != self._next:
            yield self._missing(f"part {self._next}", f"part {number} in its place")
        self._next = number + 1
        self._final = named[headers.FINAL] == "true"

    def finish(self) -> Iterator[Finding]:
        if not self._final:
            yield self._missing(f"part {self._next}", "no final part" if self._next else "no part at all")

    def _missing(self, place: str, found: str) -> Finding:
        return Finding("shape", "missing part", self._handle, place, found, "every part of its snapshot", REMEDY)


def offset_of(entry: Entry) -> Offset:
    return Offset(int(entry["headers"]["lsn"]), int(entry["headers"]["op_position"]))
