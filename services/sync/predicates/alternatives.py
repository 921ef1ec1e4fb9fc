"""Conditions of which one set must hold for a row that a clause is true for, and what AND and OR make of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from services.sync.conditions import Condition, shown

MOST = 1000
_SHOWN = 20
Alternative = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """A row for which the clause is true meets all conditions of one of `alternatives`; no other does if `exact`."""

    alternatives: tuple[Alternative, ...]
    exact: bool

    def shown(self) -> tuple[str, ...]:
        """For people: one line for each alternative, the first ones."""
        lines = [" AND ".join(map(shown, one)) for one in self.alternatives[:_SHOWN]]
        more = len(self.alternatives) - _SHOWN
        return (*lines, f"… and {more} more") if more > 0 else tuple(lines)


def any_of(parts: Sequence[Index | None]) -> Index | None:
    """None when one of them is not known, or when they are too many."""
    known = [part for part in parts if part is not None]
    alternatives = tuple(dict.fromkeys(one for part in known for one in part.alternatives))
    if len(known) < len(parts) or len(alternatives) > MOST:
        return None
    return Index(alternatives, all(part.exact for part in known))


def all_of(parts: Sequence[Index | None]) -> Index | None:
    """What is known of them, which is then not all."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    together = reduce(_both, known)
    return Index(together.alternatives, together.exact and len(known) == len(parts))


def _both(one: Index, other: Index) -> Index:
    """Every alternative of the one with every one of the other; when these are too many, those of one alone."""
    if len(one.alternatives) * len(other.alternatives) > MOST:
        fewer = min(one, other, key=lambda index: len(index.alternatives))
        return Index(fewer.alternatives, exact=False)
    made = (tuple(dict.fromkeys((*a, *b))) for a in one.alternatives for b in other.alternatives)
    return Index(tuple(made), one.exact and other.exact)
