"""What a clause says that an index can find: which conditions must hold for a row that it is true for. Pure.

    a comparison that is understood          its conditions (`comparisons`)
    A AND B                                  those of A and of B together; where only one of them is known, those
    A OR B                                   those of either, if both are known

Where the conditions are all that the clause says it is `exact`, and nobody needs to ask Postgres.
"""

from collections.abc import Sequence

from medley.contracts.shapes import ClauseColumn
from services.sync.predicates import grammar
from services.sync.predicates.alternatives import Index, all_of, any_of
from services.sync.predicates.comparisons import Columns, comparison
from services.sync.predicates.grammar import Items, Word


def index(sql: str, columns: Sequence[ClauseColumn]) -> Index | None:
    """None when the clause has nothing that the index could find it by."""
    try:
        return _clause(grammar.items_of(sql), {column.name: column for column in columns})
    except (ValueError, LookupError, ArithmeticError, RecursionError):
        return None


def _clause(items: Items, columns: Columns) -> Index | None:
    items = grammar.unwrapped(items)
    words = {item.text for item in items if isinstance(item, Word)}
    if "CASE" in words:
        return None
    if "OR" in words:
        return any_of([_clause(part, columns) for part in grammar.split(items, "OR")])
    if "AND" in words:
        return all_of([_clause(part, columns) for part in grammar.split(items, "AND")])
    return comparison(items, columns)
