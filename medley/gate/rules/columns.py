"""Columns: dropped, renamed, added, of another type, with another default or nullability."""

from collections.abc import Callable, Iterator

from medley.gate.catalogue import Entry, Table
from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding
from medley.gate.types import widens


def columns(old: Table, new: Table, same: bool) -> Iterator[Finding]:
    numbers = {column.facts["number"]: name for name, column in new.columns.items()}
    renamed = set()
    for name, column in sorted(old.columns.items()):
        if name in new.columns:
            yield from _column(old.name, column, new.columns[name], same)
            continue
        became = numbers.get(column.facts["number"]) if same else None
        needed = column.facts["not_null"] and not _fills_itself(column)
        if became is not None and became not in old.columns:
            renamed.add(became)
            sentence = f"column {old.name}.{name} is renamed to {became}"
            yield Finding("rename-column", old.name, name, BREAKS, BREAKS, BREAKS if needed else LOSSY, sentence)
        else:
            sentence = f"column {old.name}.{name} is dropped"
            yield Finding("drop-column", old.name, name, BREAKS, BREAKS, BREAKS if needed else OK, sentence)
    for name, column in sorted(new.columns.items()):
        if name not in old.columns and name not in renamed and column.facts["not_null"] and not _fills_itself(column):
            sentence = (
                f"column {old.name}.{name} is added as NOT NULL without a default: inserts that leave it out fail"
            )
            yield Finding("add-required-column", old.name, name, OK, BREAKS, OK, sentence)


def _fills_itself(column: Entry) -> bool:
    """Does a row that leaves this column out get a value?"""
    return bool(column.facts["default"] or column.facts["generated"] or column.facts["identity"])


def _column(table: str, old: Entry, new: Entry, same: bool) -> Iterator[Finding]:
    was, now, place = old.facts, new.facts, f"{table}.{old.name}"

    def finding(rule: str, reader: Class, writer: Class, replica: Class, sentence: str) -> Finding:
        return Finding(rule, table, old.name, reader, writer, replica, sentence)

    if now["generated"] and not was["generated"]:
        yield finding("become-generated", OK, BREAKS, OK, f"column {place} is generated now: nobody may write it")
    elif now["identity"] == "a" and was["identity"] != "a":
        yield finding("become-identity", OK, BREAKS, OK, f"column {place} is an identity now: nobody may write it")
    elif same and was["number"] != now["number"]:
        sentence = f"column {place} is dropped and added again: its values are gone, and copies of them stay elsewhere"
        yield finding("recreate-column", LOSSY, OK, BREAKS, sentence)
    if was["type"] != now["type"]:
        yield _type_change(finding, place, was["type"], now["type"])
    if now["not_null"] and not was["not_null"]:
        yield finding("set-not-null", OK, BREAKS, OK, f"column {place} does not take NULL any more")
    if was["not_null"] and not now["not_null"]:
        yield finding("drop-not-null", BREAKS, OK, BREAKS, f"column {place} may be NULL now")
    elif now["not_null"] and _fills_itself(old) and not _fills_itself(new):
        yield finding("drop-default", OK, BREAKS, OK, f"column {place} has no default any more and takes no NULL")


def _type_change(finding: Callable[..., Finding], place: str, was: str, now: str) -> Finding:
    sentence = f"column {place} changes from {was} to {now}"
    match widens(was, now):
        case "exact":
            return finding("widen-type", OK, OK, BREAKS, sentence)
        case "rounded":
            return finding("widen-type", OK, OK, LOSSY, sentence)
        case "narrower":
            return finding("narrow-type", OK, BREAKS, OK, sentence)
        case _:
            return finding("change-type", BREAKS, BREAKS, BREAKS, sentence)
