"""What an expression may use: what is immutable, and stable functions that depend on fixed session settings only. Pure.

Postgres calls a function stable when it depends on anything but its arguments: TimeZone, DateStyle, IntervalStyle and
enum labels among them, which are the same on every session of ours (`medley.runtime.postgres.SESSION`). Clock,
session and catalogue are not, so those stay out, and so does whatever depends on the locale of a database.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from medley.clauses.analysed import Uses

_ZONED = "timestamp with time zone"
_UNZONED = "timestamp without time zone"
_COMPARED = ("date", _UNZONED)
_SHORT = {"date": "date", _UNZONED: "timestamp"}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")

# As pg_catalog's functions are named: `name(type, type)`.
_STABLE = frozenset(
    {
        *(f"{_SHORT[t]}_{c}_timestamptz({t}, {_ZONED})" for t in _COMPARED for c in _COMPARISONS),
        *(f"timestamptz_{c}_{_SHORT[t]}({_ZONED}, {t})" for t in _COMPARED for c in _COMPARISONS),
        f"timestamptz_pl_interval({_ZONED}, interval)",
        f"timestamptz_mi_interval({_ZONED}, interval)",
        f"interval_pl_timestamptz(interval, {_ZONED})",
        "timestamptz(date)",
        "timestamptz(date, time without time zone)",
        f"timestamptz({_UNZONED})",
        f"timestamp({_ZONED})",
        f"date({_ZONED})",
        f"time({_ZONED})",
        f"timetz({_ZONED})",
        f"timezone({_ZONED})",
        f"timezone({_UNZONED})",
        f"date_add({_ZONED}, interval)",
        f"date_subtract({_ZONED}, interval)",
        f"date_part(text, {_ZONED})",
        f"extract(text, {_ZONED})",
        f"date_trunc(text, {_ZONED})",
        "make_timestamptz(integer, integer, integer, integer, integer, double precision)",
    }
)
# They write each argument as its type does: fine when the types are.
_STABLE_BY_TYPE = frozenset(
    {
        'concat("any")',
        'concat_ws(text, "any")',
        "format(text)",
        'format(text, "any")',
        "textanycat(text, anynonarray)",
        "anytextcat(anynonarray, text)",
        "array_to_string(anyarray, text)",
        "array_to_string(anyarray, text, text)",
    }
)
# What reads and writes a type's text; the types that a type is made of are looked at, too.
_TYPE_OUTPUT = (
    *("array_out", "record_out", "enum_out", "range_out", "multirange_out", "domain_out"),
    *("date_out", "timestamp_out", "timestamptz_out", "interval_out", "json_out", "jsonb_out"),
)
_TYPE_INPUT = ("array_in", "record_in", "enum_in", "range_in", "multirange_in", "domain_in", "interval_in")
# Kinds of nodes that people know under other names.
_NAMES = {
    "AGGREF": "an aggregate",
    "WINDOWFUNC": "a window function",
    "JOINEXPR": "a join (put one subquery into another instead)",
    "RANGETBLFUNCTION": "a function in FROM",
    "SETOPERATIONSTMT": "UNION, INTERSECT or EXCEPT",
    "COMMONTABLEEXPR": "WITH",
    "ROWMARKCLAUSE": "FOR UPDATE",
    "SQLVALUEFUNCTION": "what tells of the clock or the session (CURRENT_DATE, current_user)",
}


class Row(Protocol):
    """A row of the catalogue."""

    def __getitem__(self, name: str, /) -> Any: ...


def refused_use(uses: Uses, functions: Iterable[Row], types: Iterable[Row]) -> str | None:
    """What the expression uses and must not, as a sentence; None when all of it is fine."""
    if uses.strange:
        kinds = sorted(_NAMES.get(kind, kind.lower()) for kind in uses.strange)
        return f"{', '.join(kinds)} is not supported in a where clause"
    if uses.system_columns:
        return "system columns are not supported in a where clause"
    writes = uses.converts_text
    for function in functions:
        signature = function["signature"]
        if not function["executable"]:
            return f"permission denied for function {signature}"
        if function["is_set"]:
            return f"function {signature} returns a set, not a value"
        if function["volatility"] == "i":
            continue
        if not function["builtin"] or signature not in _STABLE | _STABLE_BY_TYPE:
            return f"function {signature} is not immutable: it may depend on more than the row"
        writes = writes or signature in _STABLE_BY_TYPE
    return _refused_type(types, writes)


def _refused_type(types: Iterable[Row], writes: bool) -> str | None:
    for one in types:
        name = one["name"]
        if one["is_catalogued"]:
            return f"type {name} is not supported in a where clause: its values are looked up in the catalogue"
        if not writes:
            continue
        if one["output_volatility"] != "i" and one["output"] not in _TYPE_OUTPUT:
            return f"values of type {name} cannot be turned into text in a where clause"
        if one["is_made"] and one["input_volatility"] != "i" and one["input"] not in _TYPE_INPUT:
            return f"text cannot be turned into type {name} in a where clause: that may depend on the clock"
    return None
