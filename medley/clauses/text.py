"""A clause as it was written: one that cannot leave the parentheses it is put in. Pure.

This decides nothing about its meaning. It knows where tokens end, so that quotes, comments and parentheses are closed
inside the clause, and replaces each `$n` by its value, an untyped literal: Postgres finds its type from the context.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from medley.clauses.refusal import Refusal
from medley.sql.lexer import Token, lex
from medley.sql.quoting import quote_literal, storable

_MOST_BYTES = 65_536
BRACKETS = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Written:
    """A clause with its values in it, and where each piece of it came from."""

    sql: str
    starts: tuple[int, ...]
    origins: tuple[int, ...]
    """Where each token starts in `sql`, and in the clause."""
    end: int
    """Where the clause ends."""

    def place(self, at: int) -> int:
        """The place in the clause of the token that stands at a place in `sql`."""
        return self.end if at >= len(self.sql) else self.origins[max(0, bisect_right(self.starts, at) - 1)]


@dataclass(frozen=True, slots=True)
class Clause:
    """`tokens` are those of the text, its comments left out."""

    field: str
    text: str
    tokens: tuple[Token, ...]

    @property
    def template(self) -> str:
        """What makes two clauses the same but for the values of their parameters."""
        return "\0".join(token.text for token in self.tokens)

    def write(self, params: Sequence[str]) -> Written:
        """As SQL. Raises Refusal when a parameter has no value, or one that Postgres cannot hold."""
        pieces: list[str] = []
        starts: list[int] = []
        at = end = 0
        for token in self.tokens:
            space = " " if token.offset > end else ""  # white space and comments, which are the same to Postgres
            piece = self._value(token, params) if _is_parameter(token) else token.text
            starts.append(at + len(space))
            pieces += (space, piece)
            at += len(space) + len(piece)
            end = token.end
        return Written("".join(pieces), tuple(starts), tuple(token.offset for token in self.tokens), end)

    def _value(self, token: Token, params: Sequence[str]) -> str:
        number = int(token.text[1:])
        if not 1 <= number <= len(params):
            raise Refusal("params", f"At location {token.offset}: parameter {token.text} was not provided")
        if not storable(params[number - 1]):
            raise Refusal("params", "must be text that Postgres can hold: no NUL, no lone surrogates")
        return f"({quote_literal(params[number - 1])})"


def _is_parameter(token: Token) -> bool:
    return token.kind == "number" and token.text.startswith("$")


def read(field: str, text: str) -> Clause:
    """The clause of a request's field. Raises Refusal for one that is empty, too long, or not closed in itself."""
    if not storable(text):
        raise Refusal(field, "must be text that Postgres can hold: no NUL, no lone surrogates")
    if len(text.encode()) > _MOST_BYTES:
        raise Refusal(field, f"is longer than {_MOST_BYTES} bytes")
    tokens = tuple(token for token in lex(text) if token.kind != "comment")
    if not tokens:
        raise Refusal(field, "can't be blank")
    opened: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            raise Refusal(field, f"At location {token.offset}: a quote or comment is not closed")
        if token.kind == "meta" or token.text == ";":
            raise Refusal(field, f'At location {token.offset}: unexpected "{token.text[0]}"')
        if token.text in ("(", "["):
            opened.append(token)
        elif token.text in BRACKETS and (not opened or opened.pop().text != BRACKETS[token.text]):
            raise Refusal(field, f'At location {token.offset}: unexpected "{token.text}"')
    if opened:
        raise Refusal(field, f'At location {opened[-1].offset}: "{opened[-1].text}" is not closed')
    return Clause(field, text, tokens)
