"""A clause without its constants: clauses alike but for these share a template, and are evaluated as one. Pure.

It reads what `pg_get_expr` writes, where a constant is `'text'::type` or a plain number. What is not surely a constant
of a type of Postgres's own stays in the template; that costs a template more, and changes no answer.
"""

import re
from dataclasses import dataclass

from medley.sql.lexer import Token, lex
from medley.sql.quoting import quote_literal

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_]\w*)'
_TYPE = re.compile(
    rf"""character\ varying | bit\ varying | double\ precision
    | (?:timestamp|time)(?:\(\d\))?\ with(?:out)?\ time\ zone
    | interval(?:\ (?:year|month|day|hour|minute|second)(?:\ to\ (?:month|hour|minute|second))?)?
    | {_NAME}(?:\.{_NAME})*""",
    re.VERBOSE,
)
_SUFFIX = re.compile(r"(?:\([^()]*\))?(?:\[\])*")
PLAIN = frozenset(
    {
        *("integer", "bigint", "smallint", "numeric", "real", "double precision", "text", "character varying"),
        *("bpchar", "boolean", "date", "interval", "uuid", "bytea", "json", "jsonb", "inet", "cidr"),
        *("time without time zone", "time with time zone", "timestamp without time zone", "timestamp with time zone"),
    }
)
"""Types of Postgres's own whose constants are taken out."""
COLLATED = frozenset({"text", "character varying", "bpchar"})
"""Those of them that are compared by a collation."""
_BY_CAST = ("json", "jsonb")


@dataclass(frozen=True, slots=True)
class Template:
    """`pieces` stand around the constants, whose types are `types`: there is one piece more."""

    pieces: tuple[str, ...]
    types: tuple[str, ...]

    def filled(self, values: tuple[str, ...]) -> str:
        """With something in the place of each constant."""
        return "".join(piece + value for piece, value in zip(self.pieces, (*values, ""), strict=True))

    def literal(self, constants: tuple[str, ...]) -> str:
        """The clause itself."""
        typed = zip(constants, self.types, strict=True)
        return self.filled(tuple(f"{quote_literal(text)}::{kind}" for text, kind in typed))

    def made_of_text(self, place: int) -> bool:
        return self.types[place] in _BY_CAST


def type_at(sql: str, at: int) -> tuple[str, int]:
    """The type that is named at a place, without its modifier, and where it ends with that; ('', at) for none."""
    match = _TYPE.match(sql, at)
    if match is None:
        return "", at
    suffix = _SUFFIX.match(sql, match.end())
    assert suffix is not None
    arrayed = suffix[0][suffix[0].index("[") :] if "[" in suffix[0] else ""
    return match[0] + arrayed + ("(" if "(" in suffix[0] else ""), suffix.end()


def template(sql: str) -> tuple[Template, tuple[str, ...]]:
    """The template of a clause as Postgres writes it, and the clause's constants."""
    pieces, types, constants = [], [], []
    at = skip = 0
    for token in lex(sql):
        if token.offset < skip:
            continue
        if sql.startswith("::", token.offset):
            _, skip = type_at(sql, token.offset + 2)
            continue
        found = _constant(sql, token)
        if found is None:
            continue
        text, kind, end = found
        pieces.append(sql[at : token.offset])
        types.append(kind)
        constants.append(text)
        at = skip = end
    return Template((*pieces, sql[at:]), tuple(types)), tuple(constants)


def _constant(sql: str, token: Token) -> tuple[str, str, int] | None:
    """Text, type and end of the constant that a token begins; None when it begins none that can be taken out."""
    if token.kind == "number" and token.text.isdigit():
        return token.text, "integer", token.end
    if token.kind == "number" and token.text.replace(".", "", 1).isdigit():
        return token.text, "numeric", token.end
    if token.kind != "string" or not token.text.startswith("'") or not sql.startswith("::", token.end):
        return None
    kind, end = type_at(sql, token.end + 2)
    if kind.removesuffix("[]") not in PLAIN:
        return None
    return token.text[1:-1].replace("''", "'"), kind, end
