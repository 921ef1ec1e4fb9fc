"""What an expression uses, read off the node tree that Postgres made of it (`pg_node_tree`). Pure.

Kinds of nodes are a closed list: one that is not known to compute from its arguments alone is named as strange. Names
in a tree are escaped and constants are bytes, so what is looked for cannot be written by who wrote the expression;
a word too many could only refuse more.
"""

import re
from dataclasses import dataclass

# Names differ between versions: CASE until Postgres 15, CASEEXPR since.
_KINDS_OF_NO_ERROR = """
VAR CONST FUNCEXPR OPEXPR SCALARARRAYOPEXPR DISTINCTEXPR NULLIFEXPR BOOLEXPR NULLTEST BOOLEANTEST RELABELTYPE
CASE CASEEXPR WHEN CASEWHEN CASETESTEXPR COALESCE COALESCEEXPR ARRAY ARRAYEXPR COLLATE COLLATEEXPR
"""
_OTHER_KINDS = """
COERCEVIAIO ARRAYCOERCEEXPR COERCETODOMAIN FIELDSELECT MINMAX MINMAXEXPR NAMEDARGEXPR ROW ROWEXPR ROWCOMPARE
ROWCOMPAREEXPR SUBSCRIPTINGREF CONVERTROWTYPEEXPR JSONISPREDICATE
"""
_OF_TYPES = """
vartype consttype funcresulttype opresulttype resulttype array_typeid element_typeid row_typeid coalescetype casetype
minmaxtype refcontainertype refelemtype refrestype typeId
"""
_NEVER_FAIL = frozenset(_KINDS_OF_NO_ERROR.split())
_KNOWN = _NEVER_FAIL | frozenset(_OTHER_KINDS.split())
_TYPES = _OF_TYPES.split()
_NODE = re.compile(
    r"\{(?P<kind>[A-Z]+)(?= [:}])"
    rf"|:(?P<field>funcid|opfuncid|opno|varattno|{'|'.join(_TYPES)}) (?P<number>-?\d+)"
    r"|:\w*coll(?:id|Oid) (?P<collation>\d+)"
    r"|:opnos \(o (?P<opnos>[\d ]+)\)"
)


@dataclass(frozen=True, slots=True)
class Uses:
    """OIDs of what an expression stands on."""

    functions: frozenset[int]
    operators: frozenset[int]
    types: frozenset[int]
    strange: frozenset[str]
    """Kinds of nodes that are not allowed."""
    made: frozenset[int]
    """Types that values are converted to: those of `types` that text may be read as."""
    converts_text: bool
    """It turns values of some type into text or back, by the type's own functions."""
    system_columns: bool
    may_fail: bool
    """Some node may raise an error that tells of a value, whatever its functions promise."""
    collations: frozenset[int] = frozenset()
    columns: frozenset[int] = frozenset()
    """Numbers of the columns that it names; 0 is the whole row."""


def uses(tree: str, frame: frozenset[str] = frozenset()) -> Uses:
    """`frame`: kinds of nodes that are fine beside those of an expression."""
    kinds: set[str] = set()
    numbers: dict[str, set[int]] = {}
    operators: set[int] = set()
    for match in _NODE.finditer(tree):
        if match["kind"]:
            kinds.add(match["kind"])
        elif match["opnos"]:
            operators.update(map(int, match["opnos"].split()))
        elif match["collation"]:
            numbers.setdefault("collation", set()).add(int(match["collation"]))
        else:
            numbers.setdefault(match["field"], set()).add(int(match["number"]))
    return Uses(
        functions=frozenset((numbers.get("funcid", set()) | numbers.get("opfuncid", set())) - {0}),
        operators=frozenset((operators | numbers.get("opno", set())) - {0}),
        types=frozenset(set[int]().union(*(numbers.get(field, ()) for field in _TYPES)) - {0}),
        collations=frozenset(numbers.get("collation", set()) - {0}),
        columns=frozenset(numbers.get("varattno", ())),
        strange=frozenset(kinds - _KNOWN - frame),
        made=frozenset(numbers.get("resulttype", set()) - {0}),
        converts_text="COERCEVIAIO" in kinds,
        system_columns=any(number < 0 for number in numbers.get("varattno", ())),
        may_fail=not kinds <= _NEVER_FAIL,
    )
