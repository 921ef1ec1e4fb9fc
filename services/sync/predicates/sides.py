"""A template that is one comparison of what a row computes with a constant: its two sides. Pure.

    ((metadata ->> $0)::numeric > $1)        $1 is compared; the rest is the same for all that share $0

What a row computes is then computed once for the row, and not once for each of a thousand constants. That changes no
answer: the arguments of an operator are all evaluated before it, so the same rows are computed, and raise. Under AND,
OR or CASE they might not be: such a template has no sides. Nor has one whose operator is not of Postgres's own, since
the body of a function in SQL is put in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from medley.contracts.shapes import ClauseColumn
from medley.sql.lexer import Token, lex
from services.sync.predicates.grammar import Cast, Group, Items, Word, items_of, unwrapped
from services.sync.predicates.template import COLLATED, PLAIN, Template

_COMPARES = frozenset({"=", "<>", "<", "<=", ">", ">="})
_SIGNS = frozenset("+-*/<>=~!@#%^&|`?")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ORDERED = frozenset(
    {
        *("smallint", "integer", "bigint", "numeric", "double precision", "date"),
        *("timestamp without time zone", "timestamp with time zone"),
    }
)


@dataclass(frozen=True, slots=True)
class Sides:
    """`computed sign compared`, or the other way round: `compared` has one constant, the template's last or first."""

    computed: Template
    compared: Template
    sign: str
    computed_first: bool
    one_type: bool
    """Both are of one type, and that has an order; as far as is written."""

    @property
    def range(self) -> str | None:
        """How what is computed lies to the constant in the order of their type; None when it is not about that."""
        sign = self.sign if self.computed_first else _TURNED.get(self.sign, "")
        return sign if self.one_type and sign in _TURNED else None

    def split(self, constants: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        """Those of what is computed, and the one that it is compared with."""
        return (constants[:-1], constants[-1]) if self.computed_first else (constants[1:], constants[0])

    def clause(self, computed: str, compared: str) -> str:
        """The comparison of what stands in the places of the two."""
        left, right = (computed, compared) if self.computed_first else (compared, computed)
        return f"{left} {self.sign} {right}"


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a template, and what it says."""

    template: Template
    items: Items


def sides(whole: Template, columns: Sequence[ClauseColumn]) -> Sides | None:
    """None when it is anything else, or nothing is gained since a column alone is computed."""
    marks = tuple(f"${place}" for place in range(len(whole.types)))
    sql = whole.filled(marks)
    found = _comparison(sql)
    if found is None:
        return None
    sign, (start, at), (then, end) = found
    left, right = _part(whole, marks, start, at), _part(whole, marks, then, end)
    for computed, compared, first in ((left, right, True), (right, left, False)):
        kinds = _compared(compared)
        if kinds is not None and _is_computed(computed.items):
            agrees = not kinds & COLLATED or _has_one_collation(computed, columns)
            kind = _written(compared)
            one_type = kind in _ORDERED and kind == _written(computed)
            return Sides(computed.template, compared.template, sign, first, one_type) if agrees else None
    return None


def _comparison(sql: str) -> tuple[str, tuple[int, int], tuple[int, int]] | None:
    """The only sign that stands in no parentheses but those around all of it, and where its sides are. Each operator
    has parentheses of its own, as has what AND, OR and NOT join: so it is the last one that is evaluated."""
    tokens = [token for token in lex(sql) if token.kind != "comment"]
    while tokens and tokens[0].text == "(" and _closes(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    depth, signs = 0, []
    for token in tokens:
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0 and token.kind == "symbol" and token.text in _SIGNS:
            signs.append(token)
    sign = "".join(token.text for token in signs)
    if sign not in _COMPARES or signs[-1].end - signs[0].offset != len(sign):
        return None
    return sign, (tokens[0].offset, signs[0].offset), (signs[-1].end, tokens[-1].end)


def _closes(tokens: Sequence[Token]) -> int:
    """Where what the first token opens is closed."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0:
            return place
    return -1


def _part(whole: Template, marks: Sequence[str], start: int, end: int) -> _Part:
    sql = whole.filled(tuple(marks))
    pieces, types, at, place = [], [], start, 0
    for piece, mark, kind in zip(whole.pieces, marks, whole.types, strict=False):
        place += len(piece)
        if start <= place < end:
            pieces.append(sql[at:place])
            types.append(kind)
            at = place + len(mark)
        place += len(mark)
    return _Part(Template((*pieces, sql[at:end]), tuple(types)), items_of(sql[start:end]))


def _compared(part: _Part) -> frozenset[str] | None:
    """The types that a single constant has, and is cast to; None when there is anything else."""
    if len(part.template.types) != 1:
        return None
    kinds, items = {part.template.types[0].removesuffix("[]")}, tuple(part.items)
    while True:
        match items:
            case (Group("(", inner), Cast(kind)) if kind.removesuffix("[]") in PLAIN:
                kinds.add(kind.removesuffix("[]"))
                items = inner
            case (Group("(", inner),):
                items = inner
            case (Word(),):
                return frozenset(kinds)
            case _:
                return None


def _written(part: _Part) -> str | None:
    """The type that it is cast to, or that its constant has; None when none is written."""
    match tuple(unwrapped(part.items)):
        case (Group("("), Cast(kind)):
            return kind
        case (Word(),) if part.template.types:
            return part.template.types[0]
        case _:
            return None


def _is_computed(items: Items) -> bool:
    """More than a column, or one that is cast; `ANY (…)` is no value."""
    items = unwrapped(items)
    return len(items) > 1 and items[0] not in (Word("ANY"), Word("ALL"))


def _has_one_collation(part: _Part, columns: Sequence[ClauseColumn]) -> bool:
    """Whether its value has a collation, and the same one, where it stands alone. Two that differ make a comparison
    raise, and would be forgotten; that needs a column with one of its own, or a domain or function of a user's."""
    if any(column.type_sql.partition(" COLLATE ")[2] not in ("", 'pg_catalog."default"') for column in columns):
        return False
    return not any("." in column.type_sql.partition(" COLLATE ")[0] for column in columns) and _is_plain(part.items)


def _is_plain(items: Items) -> bool:
    """Whether everything named is Postgres's own, or a column."""
    return all(
        (_is_plain(item.items) if isinstance(item, Group) else True)
        and not (isinstance(item, Cast) and item.type.removesuffix("[]") not in PLAIN)
        and item != Word(".")
        and item != Word("COLLATE")
        for item in items
    )
