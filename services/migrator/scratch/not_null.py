"""NOT NULL as every version writes it. Pure.

Postgres 18 gives it a name, which pg_dump then tells (`title text CONSTRAINT songs_title_not_null NOT NULL`), and of a
column that is inherited it says `NOT NULL title` among the columns, which older servers cannot read.
"""

from collections.abc import Iterator, Sequence

from medley.sql.lexer import Statement, Token

Edit = tuple[int, int, str]


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text with each (start, end) replaced; they are in order and apart."""
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def everywhere(statement: Statement) -> str:
    """A CREATE TABLE without those names; what an older server cannot read in it follows as statements."""
    tokens = list(statement.tokens())
    inherited = list(_inherited(tokens))
    dropped = [_cut(tokens, first, last) for first, last in inherited]
    named = [edit for edit in _names(tokens) if not any(start <= edit[0] < end for start, end, _ in dropped)]
    text = edited(statement.text, sorted([*dropped, *named]))
    table = statement.text[tokens[_after_table(tokens)].offset : tokens[_opening(tokens)].offset].strip()
    columns = [tokens[last].text for _, last in inherited]
    return "\n".join([text, *(f"ALTER TABLE ONLY {table} ALTER COLUMN {column} SET NOT NULL;" for column in columns)])


def _after_table(tokens: Sequence[Token]) -> int:
    return 1 + next(at for at, token in enumerate(tokens) if token.upper == "TABLE")


def _opening(tokens: Sequence[Token]) -> int:
    """Of its columns; a partition's or a typed table's name may end elsewhere."""
    return next((at for at, token in enumerate(tokens) if token.text == "("), len(tokens) - 1)


def _words(tokens: Sequence[Token], at: int, count: int) -> list[str]:
    return [token.upper or token.text for token in tokens[at : at + count]]


def _names(tokens: Sequence[Token]) -> Iterator[Edit]:
    for at, token in enumerate(tokens):
        if token.upper == "CONSTRAINT" and _words(tokens, at + 2, 2) == ["NOT", "NULL"]:
            yield token.offset, tokens[at + 2].offset, ""


def _inherited(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The first and last token of each `[CONSTRAINT name] NOT NULL column`."""
    for at, token in enumerate(tokens[:-1]):
        if token.text not in ("(", ","):
            continue
        start = at + 3 if tokens[at + 1].upper == "CONSTRAINT" else at + 1
        if _words(tokens, start, 2) == ["NOT", "NULL"] and _words(tokens, start + 3, 1) in ([","], [")"]):
            yield at + 1, start + 2


def _cut(tokens: Sequence[Token], first: int, last: int) -> Edit:
    """With the comma after it, or else the white space before it."""
    if tokens[last + 1].text == ",":
        return tokens[first].offset, tokens[last + 2].offset, ""
    return tokens[first - 1].offset + (tokens[first - 1].text == "("), tokens[last].end, ""
