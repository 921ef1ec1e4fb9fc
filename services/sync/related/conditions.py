"""By which conditions the index finds rows of a clause's tables. Pure."""

from collections.abc import Sequence

from medley.clauses.form import Form
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


def shown(clause: Form, own: ClauseTable, tables: Sequence[ClauseTable]) -> tuple[str, ...]:
    """For people: which rows of which table a change must be of, to be looked at."""
    by_name = {(table.schema_name, table.name): table for table in tables}
    places = [(clause, own.name, own)]
    for one in clause.walk():
        if one.where is not None:
            places.append((one.where, one.alias, by_name[one.schema or "", one.table]))
    lines = []
    for condition, alias, table in places:
        found = conditions(condition, alias, table.columns)
        lines += [f"{table.schema_name}.{table.name}: {line}" for line in (found.shown() if found is not None else ())]
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
