"""The clauses that need no question to Postgres: equalities joined by AND. Parsing and matching are pure.

`column = constant`, either order, constants being literals or `$n`; a boolean column alone, which is `column = true`;
and constants alone (`true`, `1 = 1`), which Postgres judges once. A comparison is made on Postgres's own text
of the value, and only for types whose equality is equality of that text once it is put into a canonical form;
any other type or operator is left to Postgres (`predicates`), never guessed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medley.sql.quoting import quote_identifier, quote_literal
from services.sync.table import ColumnFacts, Refused
from services.sync.values import CANONICAL

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*') | (?P<quoted>"(?:[^"]|"")+") | (?P<param>\$\d{1,5}) |
      (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?) |
      (?P<word>[^\W\d][\w$]*) | (?P<symbol>[=()])
    )""",
    re.VERBOSE,
)

_MOST = 1000
# An older sync may take over: it knows no others in the registry's conditions.
_COMPARED = CANONICAL.keys() - {"float8", "enum"}
_NOT_BOOLEAN = "WHERE clause must return a boolean"


@dataclass(frozen=True, slots=True)
class Equality:
    column: str
    constant: str
    """As it was written, without quotes."""
    sql: str
    """The same condition, written out of its parts: identifiers and literals quoted."""
    at: int = field(default=0, compare=False)
    """Where the column stands in the clause."""
    bare: bool = False
    """The column stands for itself, and so must be a boolean."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A condition that is the same for every row."""

    sql: str


Term = Equality | Constant


def parse(text: str, params: Sequence[str]) -> list[Term]:
    """The conditions of a clause. Raises Refused with the place of what is not understood."""
    tokens = _tokens(text)
    terms = []
    place = 0
    while True:
        term, place = _term(tokens, place, params, text)
        terms.append(term)
        if len(terms) > _MOST:
            raise Refused("where", f"more than {_MOST} conditions")
        if place == len(tokens):
            return terms
        kind, value, at = tokens[place]
        if kind != "word" or value.lower() != "and":
            raise _unsupported(text, at)
        place += 1


Token = tuple[str, str, int]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    place = 0
    stripped = text.rstrip()
    while place < len(stripped):
        match = _TOKEN.match(stripped, place)
        if match is None or match.lastgroup is None:
            raise _unsupported(text, len(stripped) - len(stripped[place:].lstrip()))
        tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        place = match.end()
    return tokens


def _unsupported(text: str, at: int) -> Refused:
    near = text[at : at + 20].strip()
    found = f"unsupported at location {at}, near {near!r}" if near else f"unexpected end at location {at}"
    return Refused("where", f"{found}: not column = constant, joined by AND")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    at: int

    @property
    def sql(self) -> str:
        return quote_identifier(self.name)


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    sql: str
    boolean: bool = False


def _term(tokens: Sequence[Token], place: int, params: Sequence[str], text: str) -> tuple[Term, int]:
    depth = 0
    while place < len(tokens) and tokens[place][1] == "(" and tokens[place][0] == "symbol":
        depth, place = depth + 1, place + 1
    left, after = _operand(tokens, place, params, text)
    if after < len(tokens) and tokens[after][1] == "=":
        sign = tokens[after][2]
        right, after = _operand(tokens, after + 1, params, text)
        term = _comparison(left, right, text, sign)
    else:
        term = _alone(left)
    for _ in range(depth):
        if after >= len(tokens) or tokens[after][1] != ")":
            raise _unsupported(text, tokens[after][2] if after < len(tokens) else len(text))
        after += 1
    return term, after


def _comparison(left: _Column | _Value, right: _Column | _Value, text: str, sign: int) -> Term:
    match (left, right):
        case (_Column(), _Value()):
            return Equality(left.name, right.text, f"{left.sql} = {right.sql}", left.at)
        case (_Value(), _Column()):
            return Equality(right.name, left.text, f"{right.sql} = {left.sql}", right.at)
        case (_Value(), _Value()):
            return Constant(f"{left.sql} = {right.sql}")
        case _:
            raise _unsupported(text, sign)


def _alone(operand: _Column | _Value) -> Term:
    match operand:
        case _Column(name, at):
            return Equality(name, "true", operand.sql, at, bare=True)
        case _Value(_, sql, boolean=True):
            return Constant(sql)
        case _:
            raise Refused("where", _NOT_BOOLEAN)


def _operand(tokens: Sequence[Token], place: int, params: Sequence[str], text: str) -> tuple[_Column | _Value, int]:
    if place >= len(tokens):
        raise _unsupported(text, len(text))
    kind, value, at = tokens[place]
    match kind:
        case "string":
            plain = value[1:-1].replace("''", "'")
            return _Value(plain, quote_literal(plain)), place + 1
        case "number":
            return _Value(value, value), place + 1
        case "param":
            number = int(value[1:])
            if not 1 <= number <= len(params):
                raise Refused("where", f"At location {at}: parameter {value} was not provided")
            return _Value(params[number - 1], quote_literal(params[number - 1])), place + 1
        case "quoted":
            return _Column(value[1:-1].replace('""', '"'), at), place + 1
        case "word" if value.lower() in ("true", "false"):
            return _Value(value.lower(), value.lower(), boolean=True), place + 1
        case "word" if value.lower() not in ("and", "or", "not", "null", "in", "is", "like"):
            return _Column(value.lower(), at), place + 1
        case _:
            raise _unsupported(text, at)


def check_type(columns: Mapping[str, ColumnFacts], equality: Equality) -> ColumnFacts:
    """The compared column. Raises Refused when it is unknown, or of a type that is not compared by its text."""
    facts = columns.get(equality.column)
    if facts is None:
        raise Refused("where", f"At location {equality.at}: unknown reference {equality.column}")
    if equality.bare and (facts.type_name != "bool" or facts.dims):
        raise Refused("where", _NOT_BOOLEAN)
    ours = facts.type_sql.startswith("pg_catalog.")
    if facts.type_name not in _COMPARED or not ours or facts.dims or not facts.deterministic:
        kind = facts.type_name + "[]" * bool(facts.dims)
        raise Refused("where", f"{equality.column} is of type {kind}: it is not compared by its text")
    return facts
