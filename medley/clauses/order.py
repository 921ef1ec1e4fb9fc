"""ORDER BY of a subset: columns of the row, their direction and the place of NULLs. Pure.

    order    = item { "," item }
    item     = ( [table "."] column | constant ) [ ASC | DESC ] [ NULLS ( FIRST | LAST ) ]

A constant orders nothing and is left out: in SQL, a number there would be the place of a column.
"""

from collections.abc import Collection, Sequence

from medley.clauses.refusal import Refusal
from medley.clauses.text import read
from medley.sql.lexer import Token
from medley.sql.quoting import quote_identifier

FIELD = "order_by"
_CONSTANT_WORDS = ("TRUE", "FALSE", "NULL")
_FOLDED = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def order_by(text: str, table: str, columns: Collection[str]) -> str:
    """Safe SQL of it, for a FROM item named as the table; empty when only constants were given. Raises Refusal."""
    tokens = read(FIELD, text).tokens
    items: list[str] = []
    place = 0
    while True:
        column, place = _operand(tokens, place, text, table, columns)
        direction, place = _suffix(tokens, place, text)
        if column is not None:
            items.append(f"{quote_identifier(table)}.{quote_identifier(column)}{direction}")
        if place == len(tokens):
            return ", ".join(items)
        if tokens[place].text != ",":
            raise _unexpected(tokens, place, text)
        place += 1


def _operand(
    tokens: Sequence[Token], place: int, text: str, table: str, columns: Collection[str]
) -> tuple[str | None, int]:
    """The column's name, None for a constant; and the place after it."""
    token = _at(tokens, place)
    if token is None:
        raise _unexpected(tokens, place, text)
    if token.kind == "string" or (token.kind == "number" and not token.text.startswith("$")):
        return None, place + 1
    dotted = (following := _at(tokens, place + 1)) is not None and following.text == "."
    if token.upper in _CONSTANT_WORDS and not dotted:
        return None, place + 1
    names = [_name(tokens, place, text)]
    if dotted:
        names.append(_name(tokens, place + 2, text))
    if names[-1] not in columns or (dotted and names[0] != table):
        raise Refusal(FIELD, f"At location {token.offset}: unknown reference {'.'.join(names)}")
    return names[-1], place + 2 * len(names) - 1


def _name(tokens: Sequence[Token], place: int, text: str) -> str:
    token = _at(tokens, place)
    if token is not None and token.kind == "word":
        return token.text.translate(_FOLDED)
    if token is not None and token.kind == "name" and token.text.startswith('"') and len(token.text) > 2:
        return token.text[1:-1].replace('""', '"')
    raise _unexpected(tokens, place, text)


def _suffix(tokens: Sequence[Token], place: int, text: str) -> tuple[str, int]:
    direction = ""
    if (token := _at(tokens, place)) is not None and token.upper in ("ASC", "DESC"):
        direction, place = f" {token.upper}", place + 1
    if (token := _at(tokens, place)) is not None and token.upper == "NULLS":
        which = _at(tokens, place + 1)
        if which is None or which.upper not in ("FIRST", "LAST"):
            raise _unexpected(tokens, place + 1, text)
        direction, place = f"{direction} NULLS {which.upper}", place + 2
    return direction, place


def _at(tokens: Sequence[Token], place: int) -> Token | None:
    return tokens[place] if place < len(tokens) else None


def _unexpected(tokens: Sequence[Token], place: int, text: str) -> Refusal:
    token = _at(tokens, place)
    if token is None:
        return Refusal(FIELD, f"At location {len(text.rstrip())}: unexpected end, where a column should be")
    return Refusal(FIELD, f'At location {token.offset}: unexpected "{token.text[:60]}": only columns order a subset')
