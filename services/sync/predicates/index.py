"""What a clause says that an index can find: which equalities must hold for a row that it is true for. Pure.

    x = 1, 1 = x, a boolean column           one condition
    x IN (1, 2), x = ANY ('{1,2}')           one of several
    A AND B                                  those of A and of B together; where only one of them is known, those
    A OR B                                   those of either, if both are known

Only `=` of Postgres's own, between a column and a constant of a type whose equality is equality of the text (`where`).
Where the conditions are all that the clause says it is `exact`, and nobody needs to ask Postgres.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from medley.contracts.shapes import ClauseColumn
from services.sync.predicates import grammar
from services.sync.predicates.grammar import Constant, Group, Items, Word
from services.sync.where import CANONICAL, Condition

_MOST = 1000
_SHOWN = 20
_INTEGERS = ("integer", "bigint", "smallint")
_AGREES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGERS),
    "numeric": ("numeric",),
    "text": ("text",),
    "varchar": ("text", "character varying"),
    "bpchar": ("bpchar",),
    "name": ("name",),
    "bool": ("boolean",),
    "uuid": ("uuid",),
    "oid": ("oid",),
    "bytea": ("bytea",),
    "date": ("date",),
    "time": ("time without time zone",),
    "timestamp": ("timestamp without time zone",),
    "timestamptz": ("timestamp with time zone",),
}
Columns = Mapping[str, ClauseColumn]
Alternative = tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """A row for which the clause is true meets all conditions of one of `alternatives`; no other does if `exact`."""

    alternatives: tuple[Alternative, ...]
    exact: bool

    def shown(self) -> tuple[str, ...]:
        """For people: one line for each alternative, the first ones."""
        lines = [" AND ".join(f"{column} = {text}" for column, _, text in one) for one in self.alternatives[:_SHOWN]]
        more = len(self.alternatives) - _SHOWN
        return (*lines, f"… and {more} more") if more > 0 else tuple(lines)


def index(sql: str, columns: Sequence[ClauseColumn]) -> Index | None:
    """None when the clause has nothing that the index could find it by."""
    try:
        return _clause(grammar.items_of(sql), {column.name: column for column in columns})
    except (ValueError, IndexError, RecursionError):
        return None


def _clause(items: Items, columns: Columns) -> Index | None:
    items = grammar.unwrapped(items)
    words = {item.text for item in items if isinstance(item, Word)}
    if "CASE" in words:
        return None
    if "OR" in words:
        return _any([_clause(part, columns) for part in grammar.split(items, "OR")])
    if "AND" in words:
        return _all([_clause(part, columns) for part in grammar.split(items, "AND")])
    return _comparison(items, columns)


def _any(parts: Sequence[Index | None]) -> Index | None:
    known = [part for part in parts if part is not None]
    alternatives = tuple(dict.fromkeys(one for part in known for one in part.alternatives))
    if len(known) < len(parts) or len(alternatives) > _MOST:
        return None
    return Index(alternatives, all(part.exact for part in known))


def _all(parts: Sequence[Index | None]) -> Index | None:
    known = [part for part in parts if part is not None]
    if not known:
        return None
    together = reduce(_both, known)
    return Index(together.alternatives, together.exact and len(known) == len(parts))


def _both(one: Index, other: Index) -> Index:
    """Every alternative of the one with every one of the other; when these are too many, those of one alone."""
    if len(one.alternatives) * len(other.alternatives) > _MOST:
        fewer = min(one, other, key=lambda index: len(index.alternatives))
        return Index(fewer.alternatives, exact=False)
    made = (tuple(dict.fromkeys((*a, *b))) for a in one.alternatives for b in other.alternatives)
    return Index(tuple(made), one.exact and other.exact)


def _comparison(items: Items, columns: Columns) -> Index | None:
    match tuple(items):
        case (*left, Word("="), Word("ANY"), Group("(", right)):
            members = grammar.constants(right)
            column = grammar.column(left, columns)
            return _equal(column, members) if column is not None and members is not None else None
        case (Word("NOT"), only):
            return _boolean([only], columns, "f")
        case (only, Word("IS"), Word("TRUE")):
            return _boolean([only], columns, "t")
        case (only, Word("IS"), Word("FALSE")):
            return _boolean([only], columns, "f")
        case (only,):
            return _boolean([only], columns, "t")
    sides = grammar.split(items, "=")
    if len(sides) != 2:
        return None
    for one, other in (sides, sides[::-1]):
        column, value = grammar.column(one, columns), grammar.constant(other)
        if column is not None and value is not None:
            return _equal(column, [value])
    return None


def _boolean(items: Items, columns: Columns, text: str) -> Index | None:
    column = grammar.column(items, columns)
    return _equal(column, [Constant(text, "boolean")]) if column is not None else None


def _equal(column: ClauseColumn, values: Sequence[Constant]) -> Index | None:
    """Equality with NULL is true for no row: such a member is left out."""
    if column.type_name not in CANONICAL or not column.deterministic:
        return None
    if any(value.type not in _AGREES.get(column.type_name, ()) for value in values) or len(values) > _MOST:
        return None
    texts = dict.fromkeys(value.text for value in values if value.text is not None)
    return Index(tuple(((column.name, column.type_name, text),) for text in texts), exact=True)
