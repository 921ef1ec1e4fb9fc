"""What must hold of one value of a row: the conditions that an index can find shapes by. Pure.

Texts are constants as Postgres writes them in the type of the column.
"""

from dataclasses import dataclass
from typing import NamedTuple

End = tuple[str, bool]
"""Of a range: the constant, and whether it belongs to it."""


class Equal(NamedTuple):
    """The registry keeps these as they are."""

    column: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """One end or both. `bytewise`: of text, which is compared by its bytes."""

    column: str
    type: str
    bytewise: bool
    low: End | None = None
    high: End | None = None


@dataclass(frozen=True, slots=True)
class Prefix:
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Element:
    """An array has it among its elements, whose type is `type`."""

    column: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """A JSON document has this scalar at a path of keys, alone or in an array there; the clause may mean more."""

    column: str
    path: tuple[str, ...]
    text: str


Condition = Equal | Range | Prefix | Element | Leaf


def shown(condition: Condition) -> str:
    """For people."""
    match condition:
        case Equal(column, _, text):
            return f"{column} = {text}"
        case Prefix(column, text):
            return f"{column} begins with {text}"
        case Element(column, _, text):
            return f"{column} has {text}"
        case Leaf(column, path, text):
            return f"{' -> '.join((column, *path))} is or has {text}"
        case Range(column, _, _, low, high):
            parts = [f"{column} {'>=' if low[1] else '>'} {low[0]}"] if low else []
            parts += [f"{column} {'<=' if high[1] else '<'} {high[0]}"] if high else []
            return " AND ".join(parts)
