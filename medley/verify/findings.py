"""What differs, and how it is told: found, needed, what to do. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["shape", "changes", "slot", "blob", "orphan", "copy"]
Kind = Literal[
    "missing row",
    "extra row",
    "different row",
    "doubled entry",
    "absent row",
    "offsets out of order",
    "unended transaction",
    "gap",
    "missing part",
    "unreadable",
    "future",
    "lost slot",
    "ahead",
    "missing bytes",
    "wrong bytes",
    "orphan",
]
SHOWN = 20
"""Of one kind and one subject so many are told one by one, the rest as a number."""
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs. `subject`: a handle, a stream, a digest, a file; `place`: a key, an offset, a message."""

    part: Part
    kind: Kind
    subject: str
    place: str
    found: str
    needed: str
    remedy: str = ""

    def line(self) -> str:
        place = f" {self.place}" if self.place else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.part} {self.subject}{place}: {self.kind}: found {self.found}, needed {self.needed}{remedy}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Tally:
    """Findings about one subject: the first ones of each kind, and how many there are. Memory is bounded."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Finding]] = {}
        self._counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        kept = self._kept.setdefault(finding.kind, {})
        self._counts[finding.kind] = self._counts.get(finding.kind, 0) + 1
        if len(kept) < _KEPT:
            kept[finding.place] = finding

    def all(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.add(finding)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def confirmed(self, again: "Tally") -> "Tally":
        """What a second look found, too. A kind with more than are kept in both is taken as it is."""
        both = Tally()
        for kind, second in again._kept.items():
            first = self._kept.get(kind, {})
            if self._counts.get(kind, 0) > _KEPT and again._counts[kind] > _KEPT:
                both._kept[kind], both._counts[kind] = second, again._counts[kind]
            elif same := {place: finding for place, finding in second.items() if place in first}:
                both._kept[kind], both._counts[kind] = same, len(same)
        return both

    def findings(self) -> list[Finding]:
        """Those that are told; the last of a kind says how many more there are."""
        return [finding for kind, kept in self._kept.items() for finding in self._told(kind, list(kept.values()))]

    def _told(self, kind: str, kept: list[Finding]) -> Iterable[Finding]:
        yield from kept[:SHOWN]
        if (more := self._counts[kind] - SHOWN) > 0:
            one = kept[0]
            yield Finding(one.part, one.kind, one.subject, "", f"{more} more of these", "none", one.remedy)
