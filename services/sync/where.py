"""Where clauses of this version: equalities joined by AND. Parsing and matching are pure.

`column = constant`, either order, constants being literals or `$n`. A comparison is made on Postgres's own text
of the value, and only for types whose equality is equality of that text once it is put into a canonical form;
any other type or operator is refused, never guessed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.sync.catalog import ColumnFacts, Refused

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")+") | (?P<param>\$\d+) |
      (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?) |
      (?P<word>[^\W\d][\w$]*) | (?P<cast>::\s*[A-Za-z_][\w ]*) | (?P<symbol>[=().])
    )""",
    re.VERBOSE,
)

Canonical = Callable[[str], str]


def _number(text: str) -> str:
    value = Decimal(text)
    return str(value.normalize() + 0) if value.is_finite() else text


def _float(text: str) -> str:
    return repr(float(text) + 0.0)


def _same(text: str) -> str:
    return text


def _bool(text: str) -> str:
    return text[0]


CANONICAL: dict[str, Canonical] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid", "uuid", "text", "varchar", "name", "bytea"), _same),
    **dict.fromkeys(("date", "time", "timestamp", "timestamptz"), _same),
    "numeric": _number,
    "float4": _float,
    "float8": _float,
    "bool": _bool,
    "bpchar": lambda text: text.rstrip(" "),
}


@dataclass(frozen=True, slots=True)
class Equality:
    column: str
    constant: str
    """As it was written, without quotes."""


@dataclass(frozen=True, slots=True)
class Where:
    """A conjunction, ready for the index: columns in order of name, with their canonical values."""

    columns: tuple[str, ...]
    values: tuple[str, ...]
    canonical: tuple[Canonical, ...]

    def key_of(self, row: Mapping[str, str | None]) -> tuple[str, ...] | None:
        """The row's values for `columns`, canonical; None when one of them is NULL or absent."""
        key = []
        for column, canonical in zip(self.columns, self.canonical, strict=True):
            value = row.get(column)
            if value is None:
                return None
            key.append(canonical(value))
        return tuple(key)

    def matches(self, row: Mapping[str, str | None]) -> bool:
        return self.key_of(row) == self.values


def parse(text: str, params: Mapping[str, str]) -> list[Equality]:
    """The equalities of a clause. Raises Refused with the place of what is not understood."""
    _check_params(params)
    tokens = _tokens(text)
    equalities = []
    place = 0
    while True:
        equality, place = _term(tokens, place, params, text)
        equalities.append(equality)
        if place == len(tokens):
            return equalities
        kind, value, at = tokens[place]
        if kind != "word" or value.lower() != "and":
            raise _unsupported(text, at)
        place += 1


def _check_params(params: Mapping[str, str]) -> None:
    if sorted(params, key=lambda k: (len(k), k)) != [str(n) for n in range(1, len(params) + 1)]:
        raise Refused("params", "Parameters must be numbered sequentially, starting from 1")


Token = tuple[str, str, int]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    place = 0
    stripped = text.rstrip()
    while place < len(stripped):
        match = _TOKEN.match(stripped, place)
        if match is None or match.lastgroup is None:
            raise _unsupported(text, place)
        tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        place = match.end()
    return tokens


def _unsupported(text: str, at: int) -> Refused:
    near = text[at : at + 20].strip()
    found = f"unsupported at location {at}, near {near!r}" if near else f"unexpected end at location {at}"
    return Refused("where", f"{found}: this version understands column = constant, joined by AND")


def _term(tokens: Sequence[Token], place: int, params: Mapping[str, str], text: str) -> tuple[Equality, int]:
    depth = 0
    while place < len(tokens) and tokens[place][1] == "(" and tokens[place][0] == "symbol":
        depth, place = depth + 1, place + 1
    left, place = _operand(tokens, place, params, text)
    if place >= len(tokens) or tokens[place][1] != "=":
        raise _unsupported(text, tokens[place][2] if place < len(tokens) else len(text))
    right, after = _operand(tokens, place + 1, params, text)
    for _ in range(depth):
        if after >= len(tokens) or tokens[after][1] != ")":
            raise _unsupported(text, tokens[after][2] if after < len(tokens) else len(text))
        after += 1
    match (left, right):
        case (("column", column), ("constant", constant)) | (("constant", constant), ("column", column)):
            return Equality(column, constant), after
        case _:
            raise _unsupported(text, tokens[place][2])


def _operand(tokens: Sequence[Token], place: int, params: Mapping[str, str], text: str) -> tuple[tuple[str, str], int]:
    if place >= len(tokens):
        raise _unsupported(text, len(text))
    kind, value, at = tokens[place]
    after = place + 1
    if after < len(tokens) and tokens[after][0] == "cast":
        if kind not in ("string", "param", "number"):
            raise _unsupported(text, tokens[after][2])
        after += 1  # a constant is read as the column's own type
    match kind:
        case "string":
            return ("constant", value[1:-1].replace("''", "'")), after
        case "number":
            return ("constant", value), after
        case "param":
            if value[1:] not in params:
                raise Refused("where", f"At location {at}: parameter {value} was not provided")
            return ("constant", params[value[1:]]), after
        case "quoted":
            return ("column", value[1:-1].replace('""', '"')), after
        case "word" if value.lower() in ("true", "false"):
            return ("constant", value.lower()), after
        case "word" if value.lower() not in ("and", "or", "not", "null", "in", "is", "like"):
            return ("column", value.lower()), after
        case _:
            raise _unsupported(text, at)


def compile_equalities(
    equalities: Sequence[Equality], columns: Mapping[str, ColumnFacts], texts: Mapping[Equality, str]
) -> Where | None:
    """The clause for the index, `texts` holding each constant as Postgres writes it in the column's type.

    None when two equalities of one column contradict each other: nothing can match.
    """
    wanted: dict[str, str] = {}
    for equality in equalities:
        value = canonical_of(columns, equality)(texts[equality])
        if wanted.setdefault(equality.column, value) != value:
            return None
    names = tuple(sorted(wanted))
    return Where(
        names,
        tuple(wanted[name] for name in names),
        tuple(CANONICAL[columns[name].type_name] for name in names),
    )


def canonical_of(columns: Mapping[str, ColumnFacts], equality: Equality) -> Canonical:
    """How values of the column are put into canonical form. Raises Refused for unknown columns and types."""
    facts = columns.get(equality.column)
    if facts is None:
        raise Refused("where", f"unknown reference {equality.column}")
    canonical = CANONICAL.get(facts.type_name)
    if canonical is None or facts.dims or not facts.deterministic:
        kind = facts.type_name + "[]" * bool(facts.dims)
        raise Refused("where", f"{equality.column} is of type {kind}: this version cannot compare it")
    return canonical
