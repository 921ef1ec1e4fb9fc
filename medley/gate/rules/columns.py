"""Columns: dropped, renamed, added, of another type, with another default or nullability."""

from collections.abc import Callable, Iterator

from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding
from medley.gate.objects import Entry
from medley.gate.rules.lineage import Heir
from medley.gate.types import widens


def columns(heir: Heir) -> Iterator[Finding]:
    table, there = heir.old.name, heir.new.columns
    for name, column in sorted(heir.old.columns.items()):
        now = heir.names.get(name)
        if now == name:
            yield from _column(table, column, there[name], anew=False)
        elif name not in there:
            yield _gone(table, column, now)
        elif now is not None or name in heir.old_names:
            sentence = f"the name {table}.{name} is that of another column now ({_told(name, now, heir.old_names)})"
            yield Finding("replace-column", table, name, BREAKS, BREAKS, BREAKS, sentence)
        else:
            yield from _column(table, column, there[name], anew=True)
    for name, column in sorted(there.items()):
        fresh = name not in heir.old.columns and name not in heir.old_names
        if fresh and column.facts["not_null"] and not fills_itself(column):
            sentence = f"column {table}.{name} is added as NOT NULL without a default: inserts that leave it out fail"
            yield Finding("add-required-column", table, name, OK, BREAKS, OK, sentence)


def fills_itself(column: Entry) -> bool:
    """Does a row that leaves this column out get a value?"""
    return bool(column.facts["default"] or column.facts["generated"] or column.facts["identity"])


def _gone(table: str, column: Entry, now: str | None) -> Finding:
    needed = column.facts["not_null"] and not fills_itself(column)
    if now is not None:
        sentence = f"column {table}.{column.name} is renamed to {now}"
        return Finding("rename-column", table, column.name, BREAKS, BREAKS, BREAKS if needed else LOSSY, sentence)
    sentence = f"column {table}.{column.name} is dropped"
    return Finding("drop-column", table, column.name, BREAKS, BREAKS, BREAKS if needed else OK, sentence)


def _told(name: str, now: str | None, old_names: dict[str, str]) -> str:
    left = f"it is {now} now" if now is not None else "it is dropped"
    return f"{left}, and {old_names[name]} took its name" if name in old_names else f"{left}, and one is added"


def _column(table: str, old: Entry, new: Entry, anew: bool) -> Iterator[Finding]:
    """`anew`: dropped and added again under the same name."""
    was, now, place = old.facts, new.facts, f"{table}.{old.name}"

    def finding(rule: str, reader: Class, writer: Class, replica: Class, sentence: str) -> Finding:
        return Finding(rule, table, old.name, reader, writer, replica, sentence)

    generated = now["generated"] and not was["generated"]
    if generated:
        sentence = f"column {place} is generated now: nobody may write it"
        yield finding("become-generated", OK, BREAKS, OK, sentence)
    elif now["identity"] == "a" and was["identity"] != "a":
        yield finding("become-identity", OK, BREAKS, OK, f"column {place} is an identity now: nobody may write it")
    if anew:
        sentence = f"column {place} is dropped and added again: its values are gone, and copies of them stay elsewhere"
        yield finding("recreate-column", BREAKS if generated else LOSSY, OK, BREAKS, sentence)
    if was["type"] != now["type"]:
        yield _type_change(finding, place, was["type"], now["type"])
    if now["not_null"] and not was["not_null"]:
        yield finding("set-not-null", OK, BREAKS, OK, f"column {place} does not take NULL any more")
    if was["not_null"] and not now["not_null"]:
        yield finding("drop-not-null", BREAKS, OK, BREAKS, f"column {place} may be NULL now")
    elif now["not_null"] and fills_itself(old) and not fills_itself(new):
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
        case "coarser":
            # What was there is rounded by the change itself, of which a copy is not told.
            return finding("narrow-type", LOSSY, BREAKS, LOSSY, f"{sentence}, which rounds")
        case "other":
            # As text anything can be kept, and is no longer what it was.
            return finding("change-type", BREAKS, BREAKS, LOSSY if _takes_any(was) else BREAKS, sentence)


def _takes_any(type_name: str) -> bool:
    return type_name in ("text", "character varying")
