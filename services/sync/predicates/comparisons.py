"""One comparison of a column with constants, as conditions that an index finds it by. Pure.

    x = 1, 1 = x, a boolean column             one condition
    x IN (1, 2), x = ANY ('{1,2}')             one of several
    x < 1, 1 <= x                              a range
    x LIKE 'a%', x ^@ 'a', starts_with(x, 'a') a prefix
    x @> '{a}', 'a' = ANY (x), x && '{a,b}'    elements of an array
    x @> '{"a": 1}', x -> 'a' ->> 'b' = 'c'    a scalar in a jsonb document: Postgres decides

Only operators of Postgres's own, between a column and constants of a type whose equality, or order, is that of keys
(`values`). An enum's labels may change under a clause, so Postgres is asked about the rows that have one.
"""

from collections.abc import Mapping, Sequence

from medley.contracts.shapes import ClauseColumn
from services.sync.conditions import Element, Equal, Leaf, Prefix, Range
from services.sync.contained import scalars
from services.sync.predicates import grammar
from services.sync.predicates.alternatives import MOST, Index, any_of
from services.sync.predicates.grammar import Constant, Group, Items, Text, Word
from services.sync.values import BYTEWISE, CANONICAL, ORDER

Columns = Mapping[str, ClauseColumn]

_NEVER = Index((), exact=True)
_INTEGERS = ("integer", "bigint", "smallint")
_AGREES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGERS),
    "numeric": ("numeric",),
    "float8": ("double precision",),
    "text": ("text",),
    "varchar": ("text", "character varying"),
    "bpchar": ("bpchar",),
    "name": ("name",),
    "bool": ("boolean",),
    "uuid": ("uuid",),
    "oid": ("oid",),
    "bytea": ("bytea",),
    "date": ("date",),
    "time": ("time without time zone",),
    "timestamp": ("timestamp without time zone",),
    "timestamptz": ("timestamp with time zone",),
}
_TURNED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<=", "@>": "<@", "<@": "@>", "&&": "&&"}


def comparison(items: Items, columns: Columns) -> Index | None:
    match tuple(items):
        case (*left, Word("="), Word("ANY"), Group("(", right)):
            return _any(left, right, columns)
        case (Word("NOT"), only):
            return _boolean([only], columns, "f")
        case (only, Word("IS"), Word("TRUE")):
            return _boolean([only], columns, "t")
        case (only, Word("IS"), Word("FALSE")):
            return _boolean([only], columns, "f")
        case (only,):
            return _boolean([only], columns, "t")
        case (Word("starts_with"), Group("(", inner)) if len(arguments := grammar.split(inner, ",")) == 2:
            return _prefix(arguments[0], arguments[1], columns)
        case (*left, Word("~~"), Text(text), grammar.Cast("text")):
            return _like(left, text, columns)
        case (*left, Word("^@"), Text() as text, grammar.Cast() as kind):
            return _prefix(left, (text, kind), columns)
    signs = [item.text for item in items if isinstance(item, Word) and item.text in _TURNED]
    if len(signs) != 1:
        return None
    one, other = grammar.split(items, signs[0])
    return _compared(one, signs[0], other, columns) or _compared(other, _TURNED[signs[0]], one, columns)


def _compared(left: Items, sign: str, right: Items, columns: Columns) -> Index | None:
    """A column or a part of a document on the left, constants on the right."""
    value = grammar.constant(right)
    if value is not None and sign in ("=", "@>"):
        found = _in_document(left, sign, value, columns)
        if found is not None:
            return found
    column = grammar.column(left, columns)
    if column is None:
        return None
    match sign:
        case "=":
            return _equal(column, [value]) if value is not None else None
        case "@>" | "&&":
            return _elements(column, grammar.constants(right), every=sign == "@>")
        case "<@":
            return None
        case _:
            return _range(column, sign, value) if value is not None else None


def _any(left: Items, right: Items, columns: Columns) -> Index | None:
    value = grammar.constant(left)
    if value is not None:
        column = grammar.column(right, columns)
        return _elements(column, [value], every=True) if column is not None else None
    members = grammar.constants(right)
    if members is None:
        return None
    column = grammar.column(left, columns)
    if column is not None and column.type_name != "jsonb":
        return _equal(column, members)
    if len(members) > MOST:
        return None
    return any_of([_in_document(left, "=", member, columns) for member in members])


def _boolean(items: Items, columns: Columns, text: str) -> Index | None:
    column = grammar.column(items, columns)
    return _equal(column, [Constant(text, "boolean")]) if column is not None else None


def _agree(column: ClauseColumn, kind: str, values: Sequence[Constant]) -> bool:
    """Whether constants of these types are compared with values of the type by its own operators."""
    sql = column.type_sql.partition(" COLLATE ")[0]
    if column.enumerated:
        return all(value.type == sql for value in values)
    # A type of pg_catalog's is written without its schema; of other types, nothing is known but the name.
    return "." not in sql and all(value.type in _AGREES.get(kind, ()) for value in values)


def _equal(column: ClauseColumn, values: Sequence[Constant]) -> Index | None:
    """Equality with NULL is true for no row: such a member is left out."""
    kind = "enum" if column.enumerated else column.type_name
    if kind not in CANONICAL or not column.deterministic or not _agree(column, kind, values) or len(values) > MOST:
        return None
    texts = dict.fromkeys(value.text for value in values if value.text is not None)
    for text in texts:
        CANONICAL[kind](text)
    return Index(tuple((Equal(column.name, kind, text),) for text in texts), exact=not column.enumerated)


def _range(column: ClauseColumn, sign: str, value: Constant) -> Index | None:
    kind = column.type_name
    if kind not in (BYTEWISE if column.bytewise else ORDER) or not _agree(column, kind, [value]):
        return None
    if value.text is None:
        return _NEVER
    (BYTEWISE if column.bytewise else ORDER)[kind](value.text)  # what it cannot read, Postgres decides about
    end = (value.text, sign.endswith("="))
    low, high = (end, None) if sign.startswith(">") else (None, end)
    return Index(((Range(column.name, kind, column.bytewise, low, high),),), exact=True)


def _like(left: Items, pattern: str, columns: Columns) -> Index | None:
    """LIKE compares bytes, but for a nondeterministic collation; of char(n), with the blanks at its end."""
    column = grammar.column(left, columns)
    if column is None or not _is_text(column, ("text", "varchar", "bpchar", "name")):
        return None
    literal, rest = _literal(pattern)
    if literal is None or (not literal and rest.strip("%")):
        return None
    if not rest and column.type_name != "bpchar":
        return Index(((Equal(column.name, column.type_name, literal),),), exact=True)
    return Index(((Prefix(column.name, literal),),), exact=bool(rest) and not rest.strip("%"))


def _literal(pattern: str) -> tuple[str | None, str]:
    """What stands before the first wildcard, and what comes from there on; None: it ends amid an escape."""
    letters = []
    at = 0
    while at < len(pattern) and pattern[at] not in "%_":
        at += pattern[at] == "\\"
        if at == len(pattern):
            return None, ""
        letters.append(pattern[at])
        at += 1
    return "".join(letters), pattern[at:]


def _prefix(left: Items, right: Items, columns: Columns) -> Index | None:
    column, value = grammar.column(left, columns), grammar.constant(right)
    if column is None or value is None or value.type != "text" or not _is_text(column, ("text", "varchar")):
        return None
    return _NEVER if value.text is None else Index(((Prefix(column.name, value.text),),), exact=True)


def _is_text(column: ClauseColumn, kinds: Sequence[str]) -> bool:
    return column.type_name in kinds and column.deterministic and _agree(column, column.type_name, ())


def _elements(column: ClauseColumn, values: Sequence[Constant] | None, *, every: bool) -> Index | None:
    kind = column.type_name.removesuffix("[]")
    if not values or kind == column.type_name or kind not in CANONICAL or not column.deterministic:
        return None
    if not _agree(column, kind, values) or len(values) > MOST:
        return None
    found = dict.fromkeys(Element(column.name, kind, value.text) for value in values if value.text is not None)
    if every:
        return Index((tuple(found),), exact=True) if len(found) == len({value.text for value in values}) else _NEVER
    return Index(tuple((one,) for one in found), exact=True)


def _in_document(left: Items, sign: str, value: Constant, columns: Columns) -> Index | None:
    """By the scalar of those that must be there that says the most."""
    text = grammar.document(left, columns, "->>") if sign == "=" and value.type == "text" else None
    whole = grammar.document(left, columns) if value.type == "jsonb" else None
    if (found := text or whole) is None or not _agree(found[0], "jsonb", ()):
        return None
    if value.text is None:
        return _NEVER
    column, path = found
    if text is not None:
        # What begins so may be the text of an object or an array.
        return None if value.text[:1] in ("{", "[") else _leaf(column, path, value.text)
    places = list(scalars(value.text))
    if not places:
        return None
    inner, scalar = max(places, key=lambda place: (place[1] not in ("true", "false", "null"), len(place[1])))
    return _leaf(column, (*path, *inner), scalar)


def _leaf(column: ClauseColumn, path: tuple[str, ...], text: str) -> Index:
    return Index(((Leaf(column.name, path, text),),), exact=False)
