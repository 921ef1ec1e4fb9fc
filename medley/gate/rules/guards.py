"""Guards: primary keys, unique constraints and indexes, checks, foreign keys, exclusions."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from medley.gate.catalogue import Entry, Table
from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding

_PLAIN_UNIQUE = re.compile(r"UNIQUE \([^()]*\)")
_LIST = re.compile(
    r"CHECK \(\(+([^()\s]+)\)?(?:::[\w ]+)? = (?:ANY \(+ARRAY\[(.*)\]\)*(?:::[\w ]+\[\])?|('.*'::[\w ]+|-?\d+))\)+"
)
_VALUE = re.compile(r"'(?:[^']|'')*'|-?\d+(?:\.\d+)?")


def guards(old: Table, new: Table) -> Iterator[Finding]:
    was, now = _guards(old), _guards(new)
    for key in sorted(was.keys() - now.keys()):
        yield from _gone(old.name, was[key], now, was)
    for key in sorted(now.keys() - was.keys()):
        yield from _come(old.name, now[key], was)


class _Guard(NamedTuple):
    kind: str  # c, f, p, u, x as in pg_constraint
    name: str
    columns: tuple[str, ...]
    definition: str
    entry: Entry


def _guards(table: Table) -> dict[tuple[str, str], _Guard]:
    """Constraints by what they say (a name does not matter), unique indexes among them. NOT VALID guards new rows."""
    found = {}
    for entry in table.constraints.values():
        kind, columns = entry.facts["kind"], tuple(entry.facts["columns"] or ())
        definition = entry.definition.removesuffix(" NOT VALID")
        if _PLAIN_UNIQUE.fullmatch(definition):
            definition = _plainly(columns)
        found[kind, definition] = _Guard(kind, entry.name, columns, definition, entry)
    for entry in table.indexes.values():
        if entry.facts["unique"] and entry.facts["valid"]:
            columns = tuple(entry.facts["columns"] or ())
            plain = columns and not entry.facts["partial"] and "NULLS NOT DISTINCT" not in entry.definition
            definition = _plainly(columns) if plain else entry.definition.replace(entry.name, "", 1)
            found["u", definition] = _Guard("u", entry.name, columns, definition, entry)
    return found


def _plainly(columns: tuple[str, ...]) -> str:
    """One text for a unique constraint and a unique index that say the same."""
    return f"UNIQUE ({', '.join(columns)})"


def _column_of(guard: _Guard) -> str:
    """The column that a guard is about; empty when it is about several."""
    return guard.columns[0] if len(guard.columns) == 1 else ""


def _gone(
    table: str, guard: _Guard, now: dict[tuple[str, str], _Guard], was: dict[tuple[str, str], _Guard]
) -> Iterator[Finding]:
    def finding(rule: str, reader: Class, writer: Class, replica: Class, sentence: str) -> Finding:
        return Finding(rule, table, _column_of(guard), reader, writer, replica, sentence)

    match guard.kind:
        case "c":
            successor = _successor(guard, now, was)
            if successor is None:
                sentence = f"CHECK {guard.name} of {table} is gone: values may come that were refused before"
                yield finding("widen-check", BREAKS, OK, BREAKS, sentence)
            else:
                yield from _check_change(finding, table, guard, successor)
        case "p":
            sentence = f"the primary key of {table} is no longer ({', '.join(guard.columns)})"
            yield finding("change-primary-key", OK, BREAKS, BREAKS, sentence)._replace(column="")
        case "u" | "x":
            sentence = f"{guard.name} of {table} is gone: ON CONFLICT has no arbiter, and copies may meet duplicates"
            yield finding("drop-unique", OK, BREAKS, BREAKS, sentence)
        case "f":
            if (successor := _successor(guard, now, was)) is not None:
                if successor.entry.facts["action"] != guard.entry.facts["action"]:
                    sentence = f"foreign key {guard.name} of {table} changes what a delete does: {successor.definition}"
                    yield finding("change-foreign-key-action", OK, BREAKS, LOSSY, sentence)
            else:
                sentence = f"foreign key {guard.name} of {table} is gone: rows may come without what they point to"
                yield finding("drop-foreign-key", OK, OK, BREAKS, sentence)


def _come(table: str, guard: _Guard, was: dict[tuple[str, str], _Guard]) -> Iterator[Finding]:
    def finding(rule: str, sentence: str) -> Finding:
        return Finding(rule, table, _column_of(guard), OK, BREAKS, OK, sentence)

    match guard.kind:
        case "c" | "f" if any(_same_place(guard, other) for other in was.values() if other.kind == guard.kind):
            return  # a change, told by `_gone`
        case "c":
            yield finding("add-check", f"CHECK {guard.name} is added to {table}: {guard.definition}")
        case "u" | "x":
            yield finding("add-unique", f"{guard.name} is added to {table}: {guard.definition}")
        case "f":
            yield finding("add-foreign-key", f"foreign key {guard.name} is added to {table}: {guard.definition}")
        case "p" if not any(other.kind == "p" for other in was.values()):
            sentence = f"{table} has a primary key now: ({', '.join(guard.columns)})"
            yield Finding("add-primary-key", table, "", OK, BREAKS, OK, sentence)


def _same_place(one: _Guard, other: _Guard) -> bool:
    """Do two constraints of a kind guard the same columns, so that one takes the other's place?"""
    if one.kind == "f":
        return one.columns == other.columns and one.entry.facts["references"] == other.entry.facts["references"]
    return one.name == other.name or (bool(one.columns) and set(one.columns) == set(other.columns))


def _successor(guard: _Guard, now: dict[tuple[str, str], _Guard], was: dict[tuple[str, str], _Guard]) -> _Guard | None:
    new = [other for key, other in now.items() if key not in was and other.kind == guard.kind]
    return next((other for other in new if _same_place(guard, other)), None)


def _check_change(finding: Callable[..., Finding], table: str, old: _Guard, new: _Guard) -> Iterator[Finding]:
    sentence = f"CHECK {old.name} of {table} changes from {old.definition} to {new.definition}"
    was, now = listed(old.definition), listed(new.definition)
    known = was is not None and now is not None
    if known and was < now:  # type: ignore[operator]
        yield finding("widen-check", BREAKS, OK, BREAKS, sentence)
    elif known and now < was:  # type: ignore[operator]
        yield finding("narrow-check", OK, BREAKS, OK, sentence)
    elif not known or was != now:
        yield finding("change-check", BREAKS, BREAKS, BREAKS, sentence)


def listed(definition: str) -> frozenset[str] | None:
    """The values of `CHECK (x = ANY (ARRAY['a'::text, …]))` or `CHECK (x = 'a')`; None when it says more than that."""
    match = _LIST.fullmatch(definition)
    return None if match is None else frozenset(_VALUE.findall(match.group(2) or match.group(3)))
