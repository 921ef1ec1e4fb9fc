"""From a query string to what is asked for, or to the protocol's refusals (sections 1.1 and 1.8). Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from medley.contracts.offsets import BEFORE_ALL, Offset
from medley.contracts.shapes import ShapeDefinition

Errors = dict[str, list[str]]

_MAX_WHERE = 65_536
_PARAM = re.compile(r"params\[([^\]]*)\]")
_UNQUOTED = re.compile(r"[^\W\d][\w$]*")
_NOT_YET = ("live_sse", "experimental_live_sse")


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid request. `offset` None stands for `now`."""

    definition: ShapeDefinition
    offset: Offset | None
    offset_text: str
    handle: str | None
    live: bool
    cursor: int | None


def parse(query: str) -> Asked | Errors:
    """Either what is asked for, or what is wrong, by parameter."""
    given: dict[str, str] = {}
    numbered: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if match := _PARAM.fullmatch(name):
            numbered[match.group(1)] = value
        else:
            given[name] = value
    errors: Errors = {}
    definition = _definition(given, numbered, errors)
    offset = _offset(given, errors)
    live = _flag(given, "live")
    started = offset is not None and offset != BEFORE_ALL
    handle = given.get("handle") if started else None
    if started and not handle:
        errors.setdefault("handle", []).append("can't be blank when offset != -1")
    if live and not started and "offset" not in errors:
        errors.setdefault("live", []).append(f"can't be true when offset == {given.get('offset')}")
    for name in _NOT_YET:
        if _flag(given, name):
            errors["live_sse"] = [
                "is not supported by this version" if live else "can't be true unless live is also true"
            ]
    if any(name.startswith("subset__") for name in given):
        errors["subset"] = ["is not supported by this version"]
    if errors or definition is None:
        return errors
    return Asked(definition, offset, given["offset"], handle, live, _integer(given.get("cursor")))


def _storable(text: str) -> bool:
    """Whether Postgres can hold the text: valid UTF-8 without NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _flag(given: Mapping[str, str], name: str) -> bool:
    return name in given and given[name] != "false"


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _offset(given: Mapping[str, str], errors: Errors) -> Offset | None:
    text = given.get("offset", "")
    if not text:
        errors["offset"] = ["can't be blank"]
    elif text != "now":
        try:
            return Offset.parse(text)
        except ValueError:
            errors["offset"] = ["has invalid format"]
    return None


def _definition(given: Mapping[str, str], numbered: dict[str, str], errors: Errors) -> ShapeDefinition | None:
    table = _table(given.get("table", ""), errors)
    where = given.get("where") or None
    if where is not None and len(where.encode(errors="replace")) > _MAX_WHERE:
        errors["where"] = [f"is longer than {_MAX_WHERE} bytes"]
    if where is not None and not _storable(where):
        errors["where"] = ["must be text that Postgres can hold: no NUL, no lone surrogates"]
    params = _params(given.get("params"), numbered, errors)
    columns = _columns(given.get("columns"), errors)
    replica = _choice(given, "replica", ("default", "full"), errors)
    log = _choice(given, "log", ("full", "changes_only"), errors)
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


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...], errors: Errors) -> str:
    value = given.get(name) or choices[0]
    if value not in choices:
        errors[name] = [f"is invalid: use one of {', '.join(choices)}"]
    return value


def _params(text: str | None, numbered: dict[str, str], errors: Errors) -> tuple[str, ...]:
    if text:
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
        if isinstance(parsed, list):
            parsed = {str(number): value for number, value in enumerate(parsed, 1)}
        if not isinstance(parsed, dict) or not all(
            isinstance(v, str | int | float) and not isinstance(v, bool) for v in parsed.values()
        ):
            errors["params"] = ["must be a JSON object, or params[1]=…"]
            return ()
        numbered = {**{str(key): str(value) for key, value in parsed.items()}, **numbered}
    if any(not _storable(value) for value in numbered.values()):
        errors["params"] = ["must be text that Postgres can hold: no NUL, no lone surrogates"]
        return ()
    wanted = [str(number) for number in range(1, len(numbered) + 1)]
    if any(key not in numbered for key in wanted):
        errors["params"] = ["Parameters must be numbered sequentially, starting from 1"]
        return ()
    return tuple(numbered[key] for key in wanted)


def identifier(text: str) -> str | None:
    """The name that Postgres would read: folded to lower case unless quoted; None when it is no identifier."""
    if text.startswith('"'):
        name = text[1:-1].replace('""', '"')
        fine = len(text) > 2 and text.endswith('"') and '"' not in text[1:-1].replace('""', "")
    else:
        name = text.lower()
        fine = _UNQUOTED.fullmatch(text) is not None
    return name if fine and "\0" not in name and len(name.encode()) <= 63 else None


def _table(text: str, errors: Errors) -> tuple[str, str] | None:
    if not text:
        errors["table"] = ["can't be blank"]
        return None
    names = [identifier(part) for part in _split(text, ".")]
    match names:
        case [str(table)]:
            return "public", table
        case [str(schema), str(table)]:
            return schema, table
        case _:
            errors["table"] = [
                "Invalid unquoted identifier contains special characters. If it is meant, quote it: "
                '"schema"."Table name"'
            ]
            return None


def _columns(text: str | None, errors: Errors) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = [identifier(part.strip()) for part in _split(text, ",")]
    if not names or None in names:
        errors["columns"] = ["Invalid column: must be a list of identifiers, each quoted where it has capitals"]
        return None
    return tuple(name for name in names if name is not None)


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside double quotes."""
    parts, start, quoted = [], 0, False
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return parts
