"""Finds the place in a file that an answer of Postgres is about. Pure.

Postgres gives a position for what its grammar refuses and for some of the rest. Where it gives none, its message
quotes a name, and the name stands in the statement; failing that, the fault is the statement's first word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medley.sql.lexer import Token, lex
from services.migrator.sql.bodies import deep, name_of
from services.migrator.sql.faults import excerpt

_QUOTED = re.compile(r'"((?:[^"]|"")+)"')
_UNQUOTED = re.compile(r"^(?:column|function|procedure|aggregate|routine|operator class) ([\w.]+)")
_AT = re.compile(r' at (?:or near ".*"|end of input)$', re.DOTALL)
_LINE = re.compile(r"(?:inline_code_block line|near line) (\d+)(?: at (\w+))?")
_INNER = re.compile(r'^SQL statement "(.*?)"$', re.DOTALL | re.MULTILINE)
_BEFORE_RELATION = {"REFERENCES", "ON", "FROM", "INTO", "TABLE", "UPDATE", "JOIN", "ONLY", "LIKE", "EXISTS", "INHERITS"}
_BEFORE_NEW_COLUMN = {",", "(", "ADD", "COLUMN", "EXISTS"}
_KEYS = {"PRIMARY", "UNIQUE", "CONSTRAINT", "EXCLUDE", "ADD"}
UNDEFINED_TABLE, UNDEFINED_COLUMN, DUPLICATE_COLUMN, IN_TRANSACTION = "42P01", "42703", "42701", "25001"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Postgres answered. `position` counts from 1, in the text that was sent."""

    sqlstate: str
    message: str
    position: int | None = None
    inner_position: int | None = None
    inner_query: str | None = None
    context: str = ""
    advice: str = ""
    table: str | None = None

    def sentence(self) -> str:
        """The message without the place, which the fault names, and with Postgres's advice."""
        what = " ".join(_AT.sub("", self.message).split())
        if self.sqlstate == IN_TRANSACTION:
            return f"{what}; put it alone into a file that says -- migrate: no-transaction"
        return f"{what} ({' '.join(self.advice.split()).rstrip('.')})" if self.advice else what

    def names(self) -> list[str]:
        """The names that the message is about, without their schemas, in its order."""
        found = [*_UNQUOTED.findall(self.message), *(name.replace('""', '"') for name in _QUOTED.findall(self.message))]
        return [name.rpartition(".")[2] for name in found]


def locate(refusal: Refusal, text: str) -> tuple[int, str]:
    """The offset in `text`, and the token there; empty at its end."""
    tokens = [token for token in lex(text) if token.kind != "comment"]
    offset = refusal.position - 1 if refusal.position else _inside_body(refusal, text, tokens)
    if offset is None:
        offset = _named(refusal, tokens)
    elif refusal.sqlstate == UNDEFINED_COLUMN and any(t.offset == offset and t.upper in _KEYS for t in tokens):
        # Of a key, Postgres tells where the key begins: the column that it names stands behind that.
        offset = _named(refusal, [token for token in tokens if token.offset > offset], first=True) or offset
    if offset is None:
        offset = tokens[0].offset if tokens else 0
    token = next(lex(text, offset), None)
    return offset, "" if token is None else excerpt(token.text)


def _inside_body(refusal: Refusal, text: str, tokens: list[Token]) -> int | None:
    """In a DO block or a function's body: by the statement that failed in it, else by the line that it names."""
    lines = _LINE.findall(refusal.context)
    body = next((token for token in tokens if token.kind in ("dollar", "string")), None)
    if not lines or body is None:
        return None
    number, kind = int(lines[-1][0]), lines[-1][1].upper()
    start, end = _line(text, body.offset, number), _line(text, body.offset, number + 1)
    if refusal.inner_query and (found := _find(text, refusal.inner_query, start)) is not None:
        return found[0] + (refusal.inner_position or 1) - 1 + found[2]
    first = None
    for inner in _INNER.findall(refusal.context):
        if (found := _find(text, inner, start)) is not None:
            first = start = found[0]
            end = found[1]
            break
    inside = list(deep(text[start:end], start))
    named = _named(refusal, inside)
    if named is not None or first is not None or not inside:
        return first if named is None else named
    return next((token.offset for token in inside if token.upper == kind), inside[0].offset)


def _line(text: str, offset: int, number: int) -> int:
    """Where a line begins, if line 1 begins at `offset`."""
    for _ in range(number - 1):
        end = text.find("\n", offset)
        if end < 0:
            return len(text)
        offset = end + 1
    return offset


def _find(text: str, inner: str, near: int) -> tuple[int, int, int] | None:
    """Where `inner` begins and ends, at `near` or after it, else anywhere; and by how much its words are longer there.

    PL/pgSQL runs `PERFORM x` as `SELECT x`, and blanks out `INTO y`.
    """
    for query, longer in ((inner, 0), (re.sub(r"\ASELECT\b", "PERFORM", inner), 1)):
        pieces = [re.escape(piece) for piece in re.split(r"[ ]{3,}", query.strip())]
        pattern = re.compile(r"[^;]{3,}?".join(pieces))
        if found := pattern.search(text, near) or pattern.search(text):
            return found.start(), found.end(), longer
    return None


def _named(refusal: Refusal, tokens: Sequence[Token], first: bool = False) -> int | None:
    for name in refusal.names():
        places = [index for index, token in enumerate(tokens) if name_of(token) == name]
        if places:
            return tokens[places[0] if first else _likeliest(refusal.sqlstate, tokens, places)].offset
    return None


def _likeliest(sqlstate: str, tokens: Sequence[Token], places: list[int]) -> int:
    """Of several places with the name, the one that such a message is about."""
    before = {index: (tokens[index - 1].upper or tokens[index - 1].text) if index else "" for index in places}
    if sqlstate == UNDEFINED_TABLE:
        return next((index for index in places if before[index] in _BEFORE_RELATION), places[0])
    if sqlstate == UNDEFINED_COLUMN:
        return next((index for index in reversed(places) if before[index] in ("(", ",")), places[-1])
    if sqlstate == DUPLICATE_COLUMN:
        new = [index for index in places if before[index] in _BEFORE_NEW_COLUMN and _depth(tokens, index) < 2]
        return new[-1] if new else places[-1]
    return places[0]


def _depth(tokens: Sequence[Token], index: int) -> int:
    return sum({"(": 1, ")": -1}.get(token.text, 0) for token in tokens[:index])
