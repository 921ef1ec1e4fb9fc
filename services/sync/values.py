"""What Postgres writes of a value, as a key that is equal, or comes earlier, when Postgres says so. Pure.

Only for types where that is certain, in sessions whose settings are ours (`medley.runtime.postgres.SESSION`): ISO
dates, UTC, bytea in hex, floats in full. Not float4, whose text is not its value when it is compared with a float8.
"""

import re
from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Any

Canonical = Callable[[str], Hashable]
Order = Callable[[str], Any]
"""Values of one type compare with each other."""

_DATE = re.compile(r"(\d{4,7})(-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?)?)(?:\+00)?( BC)?")
_YEARS = 10_000_000


def _number(text: str) -> str:
    """Postgres writes a numeric without exponent; zeros behind the point do not count."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _same(text: str) -> str:
    return text


def _first(text: str) -> str:
    return text[0]


def _padded(text: str) -> str:
    return text.rstrip(" ")


def _float(text: str) -> Hashable:
    """-0 is 0, and NaN is NaN."""
    return text if text == "NaN" else float(text)


def _numeric_order(text: str) -> tuple[int, Decimal]:
    return (1, Decimal(0)) if text == "NaN" else (0, Decimal(text))


def _float_order(text: str) -> tuple[int, float]:
    return (1, 0.0) if text == "NaN" else (0, float(text))


def _date_order(text: str) -> str:
    """Years of one width, counted backwards before Christ; what is infinite stands at the ends.

    >>> sorted(["infinity", "0044-03-15 BC", "12026-01-01", "2026-01-01", "-infinity"], key=_date_order)
    ['-infinity', '0044-03-15 BC', '2026-01-01', '12026-01-01', 'infinity']
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return {"-infinity": "", "infinity": "~"}[text]
    year, rest, before = match.groups()
    return f"-{_YEARS - int(year):07}{rest}" if before else f"{int(year):07}{rest}"


CANONICAL: dict[str, Canonical] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid", "uuid", "text", "varchar", "name", "bytea"), _same),
    **dict.fromkeys(("date", "time", "timestamp", "timestamptz"), _same),
    "numeric": _number,
    "float8": _float,
    "bool": _first,
    "bpchar": _padded,
    "enum": _same,
}
"""By type: a key that is equal when the values are. `enum`: of any enumerated type, its label."""

ORDER: dict[str, Order] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), int),
    **dict.fromkeys(("uuid", "bytea", "time"), _same),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), _date_order),
    "numeric": _numeric_order,
    "float8": _float_order,
    "bool": _first,
}
"""By type: a key that is less when the value is."""

BYTEWISE: dict[str, Order] = {**dict.fromkeys(("text", "varchar", "name"), _same), "bpchar": _padded}
"""The same, of text that is compared by its bytes in UTF-8: code points are in the order of these."""


def leaf(text: str) -> str:
    """A key of what stands in a JSON document, be it a number or a string: equal ones have equal keys."""
    return _number(text)
