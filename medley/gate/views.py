"""Views of Postgres 15 read as later versions write them. Pure.

Up to 15 a view over one table is printed with every column qualified (`SELECT item.id FROM shop.item`), from 16 on
without (`SELECT id FROM shop.item`), since OLD and NEW no longer count among its tables. Queries inside it, and views
over several tables, are printed alike. All else in a definition stays as it is: brackets, constants, spaces.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(r"""\s+|E?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|[\w$]+|::|.""", re.DOTALL)
_IDENTIFIER = re.compile(r'[\w$]+|"(?:[^"]|"")*"')
_AFTER_FROM = frozenset(["WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", ";"])
_COMBINED = frozenset(["UNION", "INTERSECT", "EXCEPT"])
_BEFORE_OTHERS = frozenset([".", "::", "COLLATE"])  # what stands before a qualified name that is not a column's


class _Token(NamedTuple):
    text: str
    depth: int  # of brackets
    inner: bool  # in a query within the query


def unqualified(definition: str) -> str:
    """The definition with the columns of its one table bare; unchanged when it has several or none."""
    tokens = list(_tokens(definition))
    source = _source(tokens)
    alias = _alias(tokens[source.start : source.stop])
    if alias is None:
        return definition
    kept, place = [], 0
    while place < len(tokens):
        if place not in source and not tokens[place].inner and _is_column_of(alias, tokens, place):
            place += 2  # the alias and its dot
        kept.append(tokens[place].text)
        place += 1
    return "".join(kept)


def _tokens(text: str) -> Iterator[_Token]:
    brackets: list[bool] = []  # the open ones: does a query stand in them?
    for word in _TOKEN.findall(text):
        if word == ")" and brackets:
            brackets.pop()
        if word in ("SELECT", "VALUES") and brackets:
            brackets[-1] = True
        yield _Token(word, len(brackets), any(brackets))
        if word == "(":
            brackets.append(False)


def _source(tokens: list[_Token]) -> range:
    """Where the tables of the outermost query stand; nowhere when it has none, or is made of several queries."""
    outermost = [(place, token.text) for place, token in enumerate(tokens) if token.depth == 0]
    starts = [place + 1 for place, text in outermost if text == "FROM"]
    if not starts or any(text in _COMBINED for _, text in outermost):
        return range(0)
    ends = [place for place, text in outermost if text in _AFTER_FROM and place > starts[0]]
    return range(starts[0], min(ends, default=len(tokens)))


def _alias(source: list[_Token]) -> str | None:
    """What the only table is called; None for several of them, which stand in brackets when they are joined."""
    if any((token.text, token.depth) in ((",", 0), ("JOIN", 1)) for token in source):
        return None
    names = [token.text for token in source if token.depth == 0 and token.text.strip()]
    if "TABLESAMPLE" in names:
        names = names[: names.index("TABLESAMPLE")]
    return next((name for name in reversed(names) if _IDENTIFIER.fullmatch(name)), None)


def _is_column_of(alias: str, tokens: list[_Token], place: int) -> bool:
    """Whether `alias.column` begins here, and neither a function, a type nor the whole row."""
    texts = [token.text for token in tokens[place : place + 4]] + [""] * 3
    before = next((token.text for token in reversed(tokens[:place]) if token.text.strip()), "")
    return (
        texts[:2] == [alias, "."]
        and _IDENTIFIER.fullmatch(texts[2]) is not None
        and texts[3] != "("
        and before not in _BEFORE_OTHERS
    )
