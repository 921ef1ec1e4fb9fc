"""The body of a POST: a JSON object that adds parameters to those of the query string (protocol section 1.1). Pure.

`where`, `params`, `limit`, `offset`, `order_by` describe a subset, at the top or below `subset`; every other key counts
as a parameter of that name; columns may be a list of names, as they are. What defines the shape stays in the query
string where both name it.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from medley.sql.quoting import quote_identifier
from services.api.shape.params import Errors, Given

MOST_BYTES = 8 * 1024 * 1024
_OF_SUBSETS = ("where", "params", "limit", "offset", "order_by", "where_expr", "order_by_expr")
_LISTS = ("columns", "queryable_columns")


def merged(asked: Given, body: bytes) -> Given | Errors:
    """The parameters of both, or what is wrong with the body."""
    if not body.strip():
        return asked
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return {"body": [f"is not valid JSON: {error}"]}
    if not isinstance(parsed, dict):
        return {"body": ["must be a JSON object"]}
    nested = parsed.pop("subset", None)
    if nested is not None and not isinstance(nested, dict):
        return {"subset": ["must be a JSON object"]}
    found = {name: parsed.pop(name) for name in _OF_SUBSETS if name in parsed} | (nested or {})
    wrong = [name for name in _OF_SUBSETS if name != "params" and not _is_single(found.get(name), name)]
    if wrong:
        return {"subset": {name: ["must be a single value"] for name in wrong}}
    subset = {name: _text(found[name]) for name in _OF_SUBSETS if found.get(name) is not None}
    is_subset = asked.subset is not None or nested is not None or bool(found)
    for name in _LISTS:
        if isinstance(columns := parsed.get(name), list | dict):
            if not _are_names(columns):
                return {name: ["must be a list of names"]}
            parsed[name] = ",".join(map(quote_identifier, columns))
    named = {name: _text(value) for name, value in parsed.items() if isinstance(value, str | int | float)}
    return Given({**named, **asked.named}, asked.numbered, {**(asked.subset or {}), **subset} if is_subset else None)


def _are_names(columns: Any) -> bool:
    return isinstance(columns, list) and bool(columns) and all(isinstance(name, str) and name for name in columns)


def _is_single(value: Any, name: str) -> bool:
    """What is ignored may be anything."""
    return name.endswith("_expr") or value is None or isinstance(value, str | int | float)


def _text(value: str | int | float | bool | Mapping[str, Any] | list[Any]) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
