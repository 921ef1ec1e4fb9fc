"""Splits a file of SQL into statements exactly where Postgres does, and knows every token's place. Pure.

It knows the lexical rules (comments, strings of every kind, identifiers, dollar quotes) and, of the grammar, only what
decides where a `;` ends a statement: it does not inside `BEGIN ATOMIC … END` of a function, nor inside the parentheses
of `CREATE RULE`. In all other parentheses a `;` is an error, so it ends the statement there too: an unclosed
parenthesis is then the fault of one statement and does not swallow the rest of the file.

Statements and the gaps between them (white space and comments) together are the file, character by character.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Literal, NamedTuple

Kind = Literal["word", "name", "string", "dollar", "number", "comment", "meta", "symbol", "open"]

_SPACE = " \t\n\r\f\v"
# A to Z, a to z, _ and all that is not ASCII, by what they are not: sets of a million characters are slow to compile.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTERS = r"[^\x00-/:-@\[-^`{-\x7f]"
# The rest of ASCII, but for what may begin a string, a comment, a dollar quote, a command of psql, or end a statement.
_PLAIN = r"[\x00-!#%&(-,.0-:<-@\[\]^`{-\x7f]"
# Two strings with a line end between them are one (and the second keeps the first one's kind).
_GOES_ON = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\f\v\n\r]|--[^\n\r]*+[\n\r])*+'"
_ESCAPED = r"(?:[^'\\]++|\\.|'')*+'"
_COMMENT = r"--[^\n\r]*+ | /\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
_QUOTED = rf"""
      (?P<comment> {_COMMENT} )
    | (?P<string>  [eE]'{_ESCAPED}(?:{_GOES_ON}{_ESCAPED})*+ | (?:[bBxXnN]|[uU]&)?'(?:[^']++|'')*+' )
    | (?P<name>    (?:[uU]&)?"(?:[^"]++|"")*+" )
    | (?P<open>    /\* | (?:[eEbBxXnN]|[uU]&)?' | (?:[uU]&)?" )
    | (?P<dollar>  \$(?:{_LETTER}{_LETTERS}*+)?\$ )
    | (?P<meta>    \\[^\n]*+ )
"""
_WORD = rf"{_LETTER}(?:{_LETTERS}|\$)*+"
_FLAGS = re.VERBOSE | re.DOTALL
_FINE = re.compile(
    rf"""[ \t\n\r\f\v]*+(?:{_QUOTED}
    | (?P<word>    {_WORD} )
    | (?P<number>  [0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)? | \$[0-9]++ )
    | (?P<symbol>  . )
    )""",
    _FLAGS,
)
# The same, but a run of what cannot matter to a split is one piece: 1,000 files in a fraction of a second.
_COARSE = re.compile(
    rf"""[ \t\n\r\f\v]*+(?:
      (?P<symbol>  (?: {_PLAIN}++ | {_WORD}(?!&?['"]) | -(?!-) | /(?!\*) | \$[0-9]++ )++ | ; )
    | {_QUOTED}
    | (?P<word> {_WORD} | . )
    )""",
    _FLAGS,
)
_GAP = rf"(?:[ \t\n\r\f\v]|{_COMMENT})++"
_BODIED = re.compile(
    rf"CREATE{_GAP}(?:OR{_GAP}REPLACE{_GAP})?(?:(?P<function>FUNCTION|PROCEDURE)|(?P<rule>RULE))(?!{_LETTERS})",
    _FLAGS | re.IGNORECASE,
)
_COPIES = re.compile(rf"COPY(?!{_LETTERS})", re.IGNORECASE)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_DATA_ENDS = re.compile(r"^\\\.[ \t]*$", re.MULTILINE)
_MADE_OF = {"/*": "comment", '"': "quoted identifier", "'": "string"}


class Token(NamedTuple):
    """One token of a text: `kind` "open" is a comment or quote that never ends, "meta" is psql's, not Postgres's."""

    kind: Kind
    text: str
    offset: int

    @property
    def end(self) -> int:
        return self.offset + len(self.text)

    @property
    def upper(self) -> str:
        """A word as the grammar compares it; other kinds are no words."""
        return self.text.upper() if self.kind == "word" else ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with its `;`, and where it begins: `offset` in characters, `line` and `column` from 1."""

    text: str
    offset: int
    line: int
    column: int
    replicated: bool = True

    @property
    def end(self) -> int:
        return self.offset + len(self.text)

    def tokens(self) -> Iterator[Token]:
        """The tokens but the comments; their offsets count from the statement's start."""
        return (token for token in lex(self.text) if token.kind != "comment")

    def words(self, most: int = 8) -> tuple[str, ...]:
        """The first tokens, words in upper case: enough to know what kind of statement it is."""
        return tuple(token.upper or token.text for token in islice(self.tokens(), most))


@dataclass(frozen=True, slots=True)
class Open:
    """A comment or quote that begins at `offset` and never ends."""

    what: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Split:
    statements: list[Statement]
    comments: list[Token]
    opened: Open | None = None


class Lines:
    """Line and column of an offset, both from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def lex(text: str, start: int = 0, pattern: re.Pattern[str] = _FINE) -> Iterator[Token]:
    """Every token, comments included; what never ends comes last, as "open"."""
    match_at, end = pattern.match, len(text)
    while start < end:
        match = match_at(text, start)
        if match is None or match.lastgroup is None:  # only white space is left
            return
        kind: Kind = match.lastgroup  # type: ignore[assignment]
        begin, start = match.span(kind)
        if kind == "dollar":
            close = text.find(match[kind], start)
            if close < 0:
                kind, start = "open", end
            else:
                start = close + start - begin
        elif kind == "open":
            close = _nested_end(text, begin) if text.startswith("/*", begin) else -1
            kind, start = ("open", end) if close < 0 else ("comment", close)
        yield Token(kind, text[begin:start], begin)


def _nested_end(text: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1


def read(text: str) -> Split:
    """The statements, the comments, and what was left open; one pass."""
    lines, found = Lines(text), Split([], [])
    at = 0
    while (start := _start(text, at, found.comments)) >= 0:
        end, at, opened = _end(text, start, found.comments)
        found.statements.append(Statement(text[start:end].rstrip(_SPACE), start, *lines.at(start)))
        if opened is not None:
            return replace(found, opened=opened)
    return found


def _start(text: str, at: int, comments: list[Token]) -> int:
    """Where the next statement begins, or -1; a lone `;` is no statement."""
    for token in lex(text, at, _COARSE):
        if token.kind == "comment":
            comments.append(token)
        elif token.text != ";":
            return token.offset
    return -1


def _end(text: str, start: int, comments: list[Token]) -> tuple[int, int, Open | None]:
    """Where the statement's text ends, where to go on, and what it leaves open."""
    bodied = _BODIED.match(text, start)
    body = _Body(bodied.lastgroup or "") if bodied else None
    end = start
    for token in lex(text, start, _FINE if body else _COARSE):
        if token.kind == "comment":
            comments.append(token)
            continue
        end = token.end
        if token.kind == "open":
            return end, end, _opened(token)
        if token.kind == "meta":
            return end, end, None
        if token.text == ";" and (body is None or body.depth <= 0):
            end = _after_data(text, start, end) if _COPIES.match(text, start) else end
            return end, end, None
        if body is not None:
            body.take(token)
    return end, len(text), None


@dataclass(slots=True)
class _Body:
    """How deep we are in what hides a `;`: a function's BEGIN ATOMIC, or the parentheses of a rule."""

    of: str
    depth: int = 0
    last: str = ""

    def take(self, token: Token) -> None:
        word, last = token.upper, self.last
        self.last = word or token.text
        if self.of == "rule":
            self.depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif last in ("AS", "."):  # a label or a column, whatever the word
            return
        elif self.depth == 0:
            self.depth = int(word == "ATOMIC" and last == "BEGIN")
        elif word in ("CASE", "END"):
            self.depth += 1 if word == "CASE" else -1


def split(text: str) -> list[Statement]:
    """The statements of a file. What never ends is the last statement's, to the end of the file."""
    return read(text).statements


def _opened(token: Token) -> Open:
    kind = next((kind for sign, kind in _MADE_OF.items() if sign in token.text[:3]), "dollar-quoted string")
    return Open(kind, token.offset, token.text)


def _after_data(text: str, start: int, end: int) -> int:
    """`COPY … FROM STDIN` is followed by lines of data, up to `\\.`: none of them is SQL."""
    words = [token.upper for token in lex(text[start:end])]
    if ("FROM", "STDIN") not in pairwise(words):
        return end
    close = _DATA_ENDS.search(text, end)
    return close.end() if close else end
