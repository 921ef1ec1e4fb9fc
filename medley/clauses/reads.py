"""Which tables and columns a clause with subqueries reads, in the tree that Postgres keeps of a view. Pure.

What the text cannot say for sure is looked at here: which relation a column belongs to, and whether a comparison with a
subquery is made by Postgres's own operator, since its name alone is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from medley.sql.node_tree import Node, Value, read

_FIRST_OF_USERS = 16384  # FirstNormalObjectId
_PLAIN = 0  # RTE_RELATION
_COMPARED = (0, 1, 2)  # EXISTS, ALL, ANY
_RANGE_TABLE = ("RANGETBLENTRY", "RTE")
FRAME = frozenset(
    {
        *("QUERY", "ALIAS", "FROMEXPR", "PARAM", "RANGETBLREF", "RTEPERMISSIONINFO", "SUBLINK", "TARGETENTRY"),
        *(*_RANGE_TABLE, "SORTGROUPCLAUSE"),
    }
)
"""Kinds of nodes that a query has and an expression has not."""


class NotSupported(ValueError):
    """What stands in the tree and must not, as a sentence."""


@dataclass(slots=True)
class Reads:
    """Numbers of columns by relation OID; a relation without any is there, too."""

    columns: dict[int, set[int]] = field(default_factory=dict)


def reads(tree: str) -> Reads:
    """Raises NotSupported."""
    found = Reads()
    _visit(read(tree), (), found)
    return found


def _visit(value: Value, scopes: Sequence[list[Node]], found: Reads) -> None:
    if isinstance(value, list):
        for one in value:
            _visit(one, scopes, found)
    if not isinstance(value, Node):
        return
    if value.kind == "QUERY":
        tables = value.nodes("rtable")
        named = _from(value)
        for place in named:
            entry = tables[place - 1]
            if entry.number("rtekind") == _PLAIN:
                found.columns.setdefault(entry.number("relid"), set())
            elif len(scopes) > 0:
                raise NotSupported("a subquery reads something that is not a table")
        scopes = (*scopes, tables)
    elif value.kind in _RANGE_TABLE or value.kind == "RTEPERMISSIONINFO":
        return
    elif value.kind == "VAR":
        _column(value, scopes, found)
    elif value.kind == "SUBLINK":
        _comparison(value)
    for one in value.fields.values():
        _visit(one, scopes, found)


def _from(query: Node) -> list[int]:
    tree = query.fields.get("jointree")
    assert isinstance(tree, Node)
    if any(one.kind != "RANGETBLREF" for one in tree.nodes("fromlist")):
        raise NotSupported("a subquery reads more than one plain table; put one subquery into another")
    return [one.number("rtindex") for one in tree.nodes("fromlist")]


def _column(var: Node, scopes: Sequence[list[Node]], found: Reads) -> None:
    entry = scopes[-1 - var.number("varlevelsup")][var.number("varno") - 1]
    number = var.number("varattno")
    if entry.number("rtekind") != _PLAIN:
        raise NotSupported("a subquery reads something that is not a table")
    if number < 1:
        what = "system columns are" if number else "the whole row as one value is"
        raise NotSupported(f"{what} not supported in a where clause with subqueries")
    found.columns.setdefault(entry.number("relid"), set()).add(number)


def _comparison(link: Node) -> None:
    if link.number("subLinkType") not in _COMPARED:
        raise NotSupported("a subquery stands for a value; use IN or EXISTS")
    test = link.fields.get("testexpr")
    for operator in _operators(test):
        if operator >= _FIRST_OF_USERS:
            raise NotSupported("a subquery's values are compared by an operator that is not Postgres's own")


def _operators(test: Value) -> list[int]:
    if not isinstance(test, Node):
        return []
    if test.kind == "OPEXPR":
        return [test.number("opno")]
    if test.kind == "BOOLEXPR":
        return [number for one in test.nodes("args") for number in _operators(one)]
    raise NotSupported("a row is compared with a subquery by another operator than =")
