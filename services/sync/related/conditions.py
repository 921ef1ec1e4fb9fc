"""By which conditions the index finds rows of a clause's tables. Pure."""

from collections.abc import Sequence

from medley.clauses.form import Form, form
from medley.contracts.shapes import ClauseColumn, ClauseTable
from medley.sql.lexer import lex
from medley.sql.quoting import quote_identifier
from services.sync.predicates.alternatives import Index
from services.sync.predicates.index import index


def conditions(condition: Form | None, alias: str, columns: Sequence[ClauseColumn]) -> Index | None:
    """What the index can find rows of a table by that a condition may be true for; None for every row."""
    if condition is None:
        return None
    return index(_plain(condition.write(lambda one: quote_identifier(one.table)), alias), columns)


def shown(sql: str, table: str, columns: Sequence[ClauseColumn], tables: Sequence[ClauseTable]) -> tuple[str, ...]:
    """For people: which rows of which table a change must be of, to be looked at. `table` is the clause's own."""
    clause = form(sql)
    read = {(one.schema_name, one.name): one.columns for one in tables}
    places = [(table, conditions(clause, table, columns))]
    for one in clause.walk():
        places.append((one.table, conditions(one.where, one.alias, read[one.schema or "", one.table])))
    lines = (f"{name}: {line}" for name, found in places if found is not None for line in found.shown())
    return tuple(dict.fromkeys(lines))


def _plain(text: str, alias: str) -> str:
    """`alias.column` becomes `column`."""
    pieces = []
    tokens = list(lex(text))
    at = place = 0
    while place < len(tokens):
        token = tokens[place]
        name = token.text if token.kind == "word" else token.text[1:-1].replace('""', '"')
        dotted = (
            place + 2 < len(tokens) and tokens[place + 1].text == "." and tokens[place + 2].kind in ("word", "name")
        )
        if token.kind in ("word", "name") and dotted and name == alias:
            pieces.append(text[at : token.offset])
            at = tokens[place + 2].offset
            place += 2
        place += 1
    return "".join((*pieces, text[at:]))
