"""From a query string, and a body, to what is asked for, or to the protocol's refusals (sections 1.1 and 1.8). Pure."""

import json
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from medley.contracts.offsets import BEFORE_ALL, Offset
from medley.contracts.shapes import ShapeDefinition
from medley.sql.quoting import storable
from services.api.shape.admission import Kind
from services.api.shape.asked import Asked, AskedToDelete, SubsetAsked
from services.api.shape.identifiers import column_list, table_name

Errors = dict[str, list[str] | dict[str, list[str]]]
"""What is wrong, by parameter; of a subset's, by parameter below `subset`."""

MOST_TEXT = 65_536
_MOST_INTEGER = 2**63 - 1
_MOST_PARAMS = 65_535
_MOST_PARAMS_BYTES = 1024 * 1024
_MOST_COLUMNS = 1_600  # a table cannot have more
_PARAM = re.compile(r"params\[([^\]]*)\]")
_NUMBER = re.compile(r"-?[0-9]+")
_SUBSET = "subset__"
_NOT_STORABLE = "must be text that Postgres can hold: no NUL, no lone surrogates"


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters as they came: by name, `params[n]` by n, and the subset's without their prefix."""

    named: dict[str, str] = field(default_factory=dict)
    numbered: dict[str, str] = field(default_factory=dict)
    subset: dict[str, str] | None = None


def given(query: str) -> Given:
    """Of a parameter that is there twice, the last one counts."""
    named: dict[str, str] = {}
    numbered: dict[str, str] = {}
    subset: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        if match := _PARAM.fullmatch(name):
            numbered[match.group(1)] = value
        elif name.startswith(_SUBSET):
            subset[name.removeprefix(_SUBSET)] = value
        else:
            named[name] = value
    return Given(named, numbered, subset or None)


def parse(asked: Given) -> Asked | Errors:
    """Either what is to be read, or what is wrong, by parameter."""
    named, errors = asked.named, Errors()
    queryable = _columns(named, "queryable_columns", errors)
    definition = _definition(asked, queryable, errors)
    subset = _subset(asked.subset, queryable, errors) if asked.subset is not None else None
    offset = _offset(named, errors)
    live, sse = _flag(named, "live"), _flag(named, "live_sse") or _flag(named, "experimental_live_sse")
    started = offset is not None and offset != BEFORE_ALL
    handle = named.get("handle") if started else None
    if started and not handle:
        errors["handle"] = ["can't be blank when offset != -1"]
    if live and not started and "offset" not in errors:
        errors["live"] = [f"can't be true when offset == {named.get('offset')}"]
    if sse and not live:
        errors["live_sse"] = ["can't be true unless live is also true"]
    if errors or definition is None:
        return errors
    led_to = named.get("handle") or None if offset == BEFORE_ALL else None
    return Asked(definition, offset, named["offset"], handle, live, sse, _cursor(named.get("cursor")), subset, led_to)


def parse_deletion(asked: Given) -> AskedToDelete | Errors:
    """What is to be deleted: a definition, a handle, or a definition that must have that handle."""
    errors = Errors()
    handle = asked.named.get("handle") or None
    if handle is not None and not asked.named.get("table"):
        return AskedToDelete(None, handle)
    definition = _definition(asked, _columns(asked.named, "queryable_columns", errors), errors)
    return errors if errors else AskedToDelete(definition, handle)


def kind(asked: Given) -> Kind:
    """What the request counts as, as far as can be said before it is judged."""
    if asked.named.get("offset") in ("-1", "now") or not asked.named.get("handle"):
        return "initial"
    return "live" if _flag(asked.named, "live") else "existing"


def _flag(named: Mapping[str, str], name: str) -> bool:
    return name in named and named[name] != "false"


def _cursor(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _offset(named: Mapping[str, str], errors: Errors) -> Offset | None:
    text = named.get("offset", "")
    if not text:
        errors["offset"] = ["can't be blank"]
    elif text != "now":
        try:
            return Offset.parse(text)
        except ValueError:
            errors["offset"] = ["has invalid format"]
    return None


def _definition(asked: Given, queryable: tuple[str, ...] | None, errors: Errors) -> ShapeDefinition | None:
    named = asked.named
    table = _table(named, errors)
    where = _text(named.get("where") or None, "where", errors)
    params = _params(named.get("params"), asked.numbered, "params", errors)
    if sum(map(len, params)) > _MOST_PARAMS_BYTES:
        errors["params"] = [f"are longer than {_MOST_PARAMS_BYTES} bytes together"]
    columns = _columns(named, "columns", errors)
    if columns is None:
        columns = queryable
    elif queryable is not None and (hidden := [name for name in columns if name not in queryable]):
        errors["columns"] = [f"The following columns are not among queryable_columns: {', '.join(hidden)}"]
    replica = _choice(named, "replica", ("default", "full"), errors)
    log = _choice(named, "log", ("full", "changes_only"), errors)
    if table is None or errors:
        return None
    return ShapeDefinition(
        schema_name=table[0],
        table=table[1],
        where=where,
        params=params,
        columns=columns,
        replica="full" if replica == "full" else "default",
        log="changes_only" if log == "changes_only" else "full",
    )


def _subset(found: Mapping[str, str], queryable: tuple[str, ...] | None, errors: Errors) -> SubsetAsked | None:
    wrong: dict[str, list[str]] = {}
    asked = SubsetAsked(
        where=_text(found.get("where") or None, "where", wrong),
        params=_params(found.get("params"), {}, "params", wrong),
        limit=_count(found.get("limit"), "limit", 1, wrong),
        offset=_count(found.get("offset"), "offset", 0, wrong),
        order_by=_text(found.get("order_by") or None, "order_by", wrong),
        queryable=queryable,
    )
    if asked.order_by is None and (asked.limit is not None or asked.offset is not None):
        wrong["order_by"] = ["order_by is required when limit or offset is present"]
    if wrong:
        errors["subset"] = {**wrong}
    return None if wrong else asked


def _count(text: str | None, name: str, least: int, errors: MutableMapping[str, Any]) -> int | None:
    if text is None or text == "":
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not least <= number <= _MOST_INTEGER:
        errors[name] = [f"must be an integer, {least} or more"]
    return number


def _text(text: str | None, name: str, errors: MutableMapping[str, Any]) -> str | None:
    """A text for Postgres. Lone surrogates count as replaced, for the length only: they are refused."""
    if text is not None and len(text.encode(errors="replace")) > MOST_TEXT:
        errors[name] = [f"is longer than {MOST_TEXT} bytes"]
    elif text is not None and not storable(text):
        errors[name] = [_NOT_STORABLE]
    return text


def _choice(named: Mapping[str, str], name: str, choices: tuple[str, ...], errors: Errors) -> str:
    value = named.get(name) or choices[0]
    if value not in choices:
        errors[name] = [f"is invalid: use one of {', '.join(choices)}"]
    return value


def _params(text: str | None, numbered: dict[str, str], name: str, errors: MutableMapping[str, Any]) -> tuple[str, ...]:
    """The values of `$1`, `$2`, …: from `params[n]=`, or from JSON, an object by number or an array."""
    if text:
        parsed = _json_params(text)
        if parsed is None:
            errors[name] = ["must be a JSON object of values by number, or params[1]=…"]
            return ()
        numbered = {**parsed, **numbered}
    if len(numbered) > _MOST_PARAMS:
        errors[name] = [f"are more than {_MOST_PARAMS}"]
        return ()
    if any(not storable(value) for value in numbered.values()):
        errors[name] = [_NOT_STORABLE]
        return ()
    if not all(map(_NUMBER.fullmatch, numbered)):
        errors[name] = ["Parameters can only use numbers as keys"]
        return ()
    wanted = [str(number) for number in range(1, len(numbered) + 1)]
    if any(key not in numbered for key in wanted):
        errors[name] = ["Parameters must be numbered sequentially, starting from 1"]
        return ()
    return tuple(numbered[key] for key in wanted)


def _json_params(text: str) -> dict[str, str] | None:
    try:
        parsed = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if isinstance(parsed, list):
        parsed = {str(number): value for number, value in enumerate(parsed, 1)}
    if not isinstance(parsed, dict):
        return None
    values = {key: _scalar(value) for key, value in parsed.items()}
    return None if None in values.values() else {key: str(value) for key, value in values.items()}


def _scalar(value: object) -> str | None:
    """A value as the text that Postgres is given; None when it is no single value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _table(named: Mapping[str, str], errors: Errors) -> tuple[str, str] | None:
    text = named.get("table", "")
    found = table_name(text) if text else None
    if not text:
        errors["table"] = ["can't be blank"]
    elif found is None:
        errors["table"] = [
            'Invalid unquoted identifier contains special characters. If it is meant, quote it: "schema"."Table name"'
        ]
    return found


def _columns(named: Mapping[str, str], name: str, errors: Errors) -> tuple[str, ...] | None:
    """Each once and in one order, since neither makes another shape: rows have the table's order."""
    if name not in named:
        return None
    columns = column_list(named[name])
    if columns is None:
        errors[name] = ["Invalid column: must be a list of identifiers, each quoted where it has capitals"]
        return None
    columns = tuple(sorted(set(columns)))
    if len(columns) > _MOST_COLUMNS:
        errors[name] = [f"are more than the {_MOST_COLUMNS} that a table can have"]
    return columns
