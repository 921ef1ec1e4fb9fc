"""Why a clause is refused, in the words that clients know (protocol section 1.8), or in Postgres's own. Pure."""

from medley.sql.lexer import Token

NOT_BOOLEAN = "WHERE clause must return a boolean"
_UNKNOWN = ("42703", "42P01")  # undefined column, undefined table
# Classes of SQLSTATE that speak of the clause, not of the server: what was written, or what it met in a row.
_OF_THE_CLAUSE = ("0A", "21", "22", "23", "2F", "38", "39", "42", "54", "P0")
_PRIVILEGE = "42501"


class Refusal(Exception):
    """The clause cannot be accepted: `field` is the parameter it came in, `text` a sentence."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


def is_of_the_clause(sqlstate: str | None) -> bool:
    """Whether an error is the caller's, so that the same request would fail again."""
    return sqlstate is not None and sqlstate != _PRIVILEGE and sqlstate.startswith(_OF_THE_CLAUSE)


def sentence(sqlstate: str, message: str, location: int | None, tokens: tuple[Token, ...]) -> str:
    """Postgres's error about the clause of these tokens, as the protocol says it; locations count from 0."""
    if sqlstate == "42804" and "of CHECK " in message:
        return NOT_BOOLEAN
    # Where a clause is looked at is nothing that who wrote it knows of.
    message = message.replace("check constraints", "a where clause").replace("check constraint", "a where clause")
    if location is None:
        return message
    if location >= tokens[-1].end:
        return f"At location {location}: unexpected end of the clause"
    if sqlstate in _UNKNOWN and (name := reference(tokens, location)):
        message = f"unknown reference {name}"
    return f"At location {location}: {message}"


def reference(tokens: tuple[Token, ...], location: int) -> str:
    """The name that stands at a location, with its qualifiers, as Postgres folds it."""
    names: list[str] = []
    wanted = True
    for token in tokens:
        if token.offset < location or (not wanted and token.text == ")"):  # (row).column
            continue
        if wanted and token.kind == "word":
            names.append(token.text.lower())
        elif wanted and token.kind == "name":
            names.append(token.text[1:-1].replace('""', '"'))
        elif wanted or token.text != ".":
            break
        wanted = not wanted
    return ".".join(names)
