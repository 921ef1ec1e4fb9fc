"""Guesses what a refused statement was meant to be, so that one fault does not hide the next. Pure.

What is mended is a draft: it is tried on a scratch database and thrown away. The file keeps its fault, which is told
with the guess. A guess counts only when Postgres then reads on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from medley.sql.lexer import Token, lex

_COLUMN_WORDS = {
    *("PRIMARY", "KEY", "REFERENCES", "DEFAULT", "UNIQUE", "CHECK", "CONSTRAINT", "GENERATED", "ALWAYS", "IDENTITY"),
    *(
        "NOT",
        "NULL",
        "COLLATE",
        "DEFERRABLE",
        "INITIALLY",
        "DEFERRED",
        "WITH",
        "WITHOUT",
        "STORED",
        "CASCADE",
        "ON",
        "AS",
    ),
}
_TABLE_CONSTRAINTS = {"PRIMARY", "UNIQUE", "FOREIGN", "EXCLUDE", "CHECK", "CONSTRAINT", "LIKE"}
VERBS = {
    *("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE", "COMMENT", "GRANT", "REVOKE", "DO", "SELECT", "SET"),
    *(
        "WITH",
        "TRUNCATE",
        "CALL",
        "ANALYZE",
        "REFRESH",
        "REINDEX",
        "LOCK",
        "MERGE",
        "VACUUM",
        "CLUSTER",
        "COPY",
        "RESET",
    ),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement's text with edits, each (start, characters removed, characters added)."""

    text: str
    edits: tuple[tuple[int, int, int], ...] = ()

    def edit(self, start: int, end: int, new: str) -> "Draft":
        return Draft(self.text[:start] + new + self.text[end:], (*self.edits, (start, end - start, len(new))))

    def original(self, offset: int) -> int:
        """The offset in the text before all edits."""
        for start, removed, added in reversed(self.edits):
            if offset >= start + added:
                offset += removed - added
            elif offset > start:
                offset = start
        return offset


@dataclass(frozen=True, slots=True)
class Mend:
    """A guess: `at` is what it is about, in the draft before it; the mended draft must be read beyond `beyond`."""

    draft: Draft
    guess: str
    at: int
    beyond: int
    splits: bool = False


def mends(draft: Draft, offset: int) -> Iterator[Mend]:
    """What may mend the syntax error at `offset`, likeliest first."""
    tokens = [token for token in lex(draft.text) if token.kind != "comment"]
    index = next((index for index, token in enumerate(tokens) if token.end > offset), len(tokens))
    if index == 0:
        return
    before, depth = tokens[index - 1], _depth(tokens[:index])
    if index == len(tokens):
        if depth == 1:
            yield Mend(draft.edit(before.end, before.end, ")"), "is a ) missing?", offset, offset)
        return
    here = tokens[index]
    yield from _too_many(draft, before, here, depth)
    yield from _missing_comma(draft, tokens, index, depth)
    if here.text == ";" and depth == 1:
        yield Mend(draft.edit(here.offset, here.offset, ")"), "is a ) missing?", here.offset, here.end)
    if here.upper in VERBS and depth == 0 and "\n" in draft.text[before.end : here.offset]:
        yield Mend(draft, "is a ; missing before it?", here.offset, here.end, splits=True)


def _depth(tokens: list[Token]) -> int:
    return sum({"(": 1, ")": -1}.get(token.text, 0) for token in tokens)


def _too_many(draft: Draft, before: Token, here: Token, depth: int) -> Iterator[Mend]:
    if before.text == "," and (here.text in (")", ";", ",") or here.upper == "FROM"):
        yield Mend(draft.edit(before.offset, before.end, " "), "a comma too many before it", here.offset, here.offset)
    if here.text == "," and before.text == "(":
        yield Mend(draft.edit(here.offset, here.end, " "), "a comma too many", here.offset, here.offset)
    if here.text == ")" and depth == 0:
        yield Mend(draft.edit(here.offset, here.end, " "), "a ) too many", here.offset, here.offset)


def _missing_comma(draft: Draft, tokens: list[Token], index: int, depth: int) -> Iterator[Mend]:
    here, before = tokens[index], tokens[index - 1]
    if depth > 0 and here.kind == before.kind == "string":
        yield _comma(draft, before, here, here.end)
    if depth < 1 or tokens[0].upper != "CREATE" or "TABLE" not in [token.upper for token in tokens[:5]]:
        return
    if here.upper in _TABLE_CONSTRAINTS:
        yield _comma(draft, before, here, here.end)
    elif _begins_column(tokens, index):
        yield _comma(draft, before, here, tokens[index + 1].end)
    elif here.text == "(":
        # `a int UNIQUE (a)`: all before the parenthesis could be the column's; it is a constraint of the table.
        first = index - 2 if before.upper == "KEY" else index - 1
        if tokens[first].upper in _TABLE_CONSTRAINTS:
            first -= 2 if tokens[first - 2].upper == "CONSTRAINT" else 0
            yield _comma(draft, tokens[first - 1], tokens[first], here.end)


def _begins_column(tokens: list[Token], index: int) -> bool:
    """A name and a type, and the name is not a word of a column's constraints, misspelt."""
    if index + 1 >= len(tokens):
        return False
    here, after = tokens[index], tokens[index + 1]
    return (
        here.kind in ("word", "name")
        and after.kind in ("word", "name")
        and after.upper not in _COLUMN_WORDS
        and not get_close_matches(here.upper, _COLUMN_WORDS, cutoff=0.75)
    )


def _comma(draft: Draft, before: Token, here: Token, beyond: int) -> Mend:
    return Mend(draft.edit(before.end, before.end, ","), "is a comma missing before it?", here.offset, beyond)


def without(draft: Draft, offset: int) -> Iterator[Draft]:
    """A CREATE TABLE without what is wrong in the column or constraint at `offset`: less and less is kept of it."""
    tokens = [token for token in lex(draft.text) if token.kind != "comment"]
    element = _element(tokens, offset)
    if element is None:
        return
    first, start, end = element[0], element[0].offset, element[-1].end
    if first.upper not in _TABLE_CONSTRAINTS and offset > first.offset:
        rest = next((token for token in element[1:] if token.upper in _COLUMN_WORDS), None)
        if rest is not None and offset >= rest.offset:
            yield draft.edit(rest.offset, end, "")
        yield draft.edit(start, end, f"{first.text} text")
    yield draft.edit(start, end, "CHECK (true)")


def _element(tokens: list[Token], offset: int) -> list[Token] | None:
    """The tokens of the column or constraint in which `offset` is."""
    if tokens[0].upper != "CREATE" or "TABLE" not in [token.upper for token in tokens[:5]]:
        return None
    depth, element = 0, list[Token]()
    for token in tokens:
        depth -= token.text == ")"
        if depth == 0 or (depth == 1 and token.text == ","):
            if element and element[0].offset <= offset < element[-1].end:
                return element
            element = []
        else:
            element.append(token)
        depth += token.text == "("
    return None
