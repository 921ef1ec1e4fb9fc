"""How shapes are found by a value that need not be equal: in a range, by a prefix, by what it contains. Pure.

A `Lookup` is what conditions alike but for their constants share; its `place` is what one of them wants, and stands in
the structure that the lookup makes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

from services.sync.conditions import Element, Leaf, Prefix, Range
from services.sync.contained import Documents, Elements, Prefixes, elements
from services.sync.intervals import ABOVE, BELOW, Interval, Intervals, high_end, low_end, point
from services.sync.values import BYTEWISE, CANONICAL, ORDER, Order


class Structure(Protocol):
    """Members by their places."""

    def add(self, place: Any, member: Any) -> None: ...

    def remove(self, place: Any, member: Any) -> None: ...

    def within(self, text: str, into: list[list[Any]]) -> None:
        """Put lists of the members whose places fit the value; a member may be in several of them."""

    def all(self) -> Iterable[list[Any]]: ...

    def __bool__(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Lookup:
    column: str
    kind: Literal["range", "prefix", "element", "leaf"]
    type: str = "text"
    bytewise: bool = False

    @property
    def order(self) -> Order:
        return (BYTEWISE if self.bytewise else ORDER)[self.type]

    def structure(self) -> Structure:
        """An empty one."""
        match self.kind:
            case "range":
                return Intervals(self.order)
            case "prefix":
                return Prefixes()
            case "element":
                return Elements(CANONICAL[self.type])
            case "leaf":
                return Documents()

    def holds(self, place: Any, text: str) -> bool:
        """Whether the value fits; of a document nobody is asked, since Postgres decides about these."""
        match self.kind:
            case "range":
                return bool(place[0] <= point(self.order(text)) <= place[1])
            case "prefix":
                return text.startswith(place)
            case "element":
                canonical = CANONICAL[self.type]
                return canonical(place) in map(canonical, elements(text))
            case "leaf":
                return True


@lru_cache(maxsize=4096)
def _lookup(*parts: Any) -> Lookup:
    """One object for all that are alike."""
    return Lookup(*parts)


Wanted = tuple[Lookup, Any]
"""A lookup, and a place of it."""


def wanted(condition: Range | Prefix | Element | Leaf) -> Wanted:
    match condition:
        case Range(column, kind, bytewise, low, high):
            lookup = _lookup(column, "range", kind, bytewise)
            start = low_end(lookup.order(low[0]), low[1]) if low else BELOW
            end = high_end(lookup.order(high[0]), high[1]) if high else ABOVE
            return lookup, (start, end)
        case Prefix(column, text):
            return _lookup(column, "prefix"), text
        case Element(column, kind, text):
            return _lookup(column, "element", kind), text
        case Leaf(column, path, text):
            return _lookup(column, "leaf"), (path, text)


def together(one: Interval, other: Interval) -> Interval | None:
    """What two intervals have in common; None for nothing."""
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else None


def width(found: Wanted) -> int:
    """Which of several conditions finds the fewest, as far as can be known: the least."""
    lookup, place = found
    match lookup.kind:
        case "element" | "leaf":
            return 0
        case "prefix":
            return 1 if place else 4
        case "range":
            return 2 if BELOW not in place and ABOVE not in place else 3
