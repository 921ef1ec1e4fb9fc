"""Literals that tell of the clock: `'now'`, `'today'` and so on become a moment when Postgres reads the clause. Pure.

A shape's clause is read once and kept, so such a literal would mean the moment when the shape was opened. It can only
be told by what Postgres makes of the clause: as a text it is still there, as a date it is not.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from medley.clauses.refusal import Refusal
from medley.clauses.text import Clause
from medley.sql.lexer import lex

_WORDS = re.compile(r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4}))")
_DATES = {1082, 1083, 1114, 1184, 1266, 1115, 1182, 1183, 1185, 1270, 3908, 3910, 3912, 3909, 3911, 3913}
_MULTIRANGES = {4533, 4534, 4535, 6152, 6153, 6155}
_FIRST_OF_USERS = 16384  # FirstNormalObjectId: a domain may be one over dates


def may_tell_the_clock(clause: Clause, params: Sequence[str]) -> bool:
    return any(_WORDS.search(text) for text, _ in _literals(clause, params))


def refuse_clock(clause: Clause, params: Sequence[str], sql: str, types: Collection[int]) -> None:
    """`sql`: the clause as Postgres understood it, `types`: OIDs of those that it uses. Raises Refusal."""
    if not any(oid in _DATES | _MULTIRANGES or oid >= _FIRST_OF_USERS for oid in types):
        return
    kept = Counter(_content(token.text) for token in lex(sql) if token.kind == "string")
    for text, location in _literals(clause, params):
        if not _WORDS.search(text):
            continue
        kept[text] -= 1
        if kept[text] < 0:
            raise Refusal(
                clause.field, f"At location {location}: '{text}' is read as a moment: a shape cannot follow the clock"
            )


def _literals(clause: Clause, params: Sequence[str]) -> list[tuple[str, int]]:
    """What is between quotes, and what parameters are, with their places."""
    found = []
    for token in clause.tokens:
        if token.kind == "string":
            found.append((_content(token.text), token.offset))
        elif token.kind == "dollar":
            found.append((token.text[token.text.index("$", 1) + 1 : token.text.rindex("$", 0, -1)], token.offset))
        elif token.kind == "number" and token.text.startswith("$") and 1 <= int(token.text[1:]) <= len(params):
            found.append((params[int(token.text[1:]) - 1], token.offset))
    return found


def _content(literal: str) -> str:
    text = literal[literal.index("'") + 1 : -1].replace("''", "'")
    if literal[0] in "eE":
        return text.encode("latin-1", "backslashreplace").decode("unicode_escape")
    if literal[0] in "uU":
        return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    return text
