"""CHECK constraints: gone or widened they let values through that nobody knows, come or narrowed they refuse."""

import re
from collections.abc import Iterator

from medley.gate.findings import BREAKS, OK, Finding
from medley.gate.rules.columns import fills_itself
from medley.gate.rules.guards import Change, Guard

_LITERAL, _CAST = r"E?'(?:[^']|'')*'|-?\d+(?:\.\d+)?", r"(?:::[\w \".]+(?:\(\d+(?:,\d+)?\))?)?"
_VALUE = f"(?:{_LITERAL}){_CAST}"
_LIST = re.compile(
    rf"CHECK \(\(+([^()\s]+)\)?(?:::[\w ]+)? = "
    rf"(?:ANY \(+ARRAY\[({_VALUE}(?:, {_VALUE})*)\]\)*(?:::[\w ]+\[\])?|({_VALUE}))\)+"
)
_VALUES = re.compile(f"({_LITERAL}){_CAST}(?:, |$)")
# What can be false, not unknown, for a NULL.
_NULL = re.compile(r"\b(?:NULL|COALESCE|num_nulls|num_nonnulls|DISTINCT|TRUE|FALSE|UNKNOWN)\b", re.IGNORECASE)


def checks(change: Change) -> Iterator[Finding]:
    paired, gone, come = change.pairs("c")
    for old, new in paired:
        yield from _changed(change, old, new)
    for guard in gone:
        sentence = f"CHECK {guard.name} of {change.place(guard)} is gone: values may come that were refused before"
        yield from change.told("drop-check", guard, BREAKS, OK, BREAKS, sentence)
    for guard in come:
        if not _passes_by_itself(change, guard):
            sentence = f"CHECK {guard.name} is added to {change.place(guard)}: {guard.entry.definition}"
            yield from change.told("add-check", guard, OK, BREAKS, OK, sentence)


def _passes_by_itself(change: Change, guard: Guard) -> bool:
    """Is it about new columns alone, which rows of old writers leave out? NULL passes a check that does not ask for it,
    and a default has passed it for the rows that were there."""
    columns = change.heir.new.columns
    filled = all(fills_itself(columns[name]) for name in guard.others)
    return not guard.columns and bool(guard.others) and (filled or not asks_for_null(guard.entry.definition))


def asks_for_null(definition: str) -> bool:
    """Might it refuse a row for a NULL? Any other comparison with NULL passes."""
    return _NULL.search(definition.removeprefix("CHECK")) is not None


def _changed(change: Change, old: Guard, new: Guard) -> Iterator[Finding]:
    sentence = f"CHECK {old.name} of {change.place(old)} changes from {old.entry.definition} to {new.entry.definition}"
    was, now = listed(old.says), listed(new.says)
    if was is None or now is None or was[0] != now[0]:
        yield from change.told("change-check", old, BREAKS, BREAKS, BREAKS, sentence)
    elif was[1] < now[1]:
        yield from change.told("widen-check", old, BREAKS, OK, BREAKS, sentence)
    elif was[1] > now[1]:
        yield from change.told("narrow-check", old, OK, BREAKS, OK, sentence)
    elif was[1] != now[1]:
        yield from change.told("change-check", old, BREAKS, BREAKS, BREAKS, sentence)


def listed(definition: str) -> tuple[str, frozenset[str]] | None:
    """Column and values of `CHECK (x = ANY (ARRAY['a'::text, …]))` or `CHECK (x = 'a')`; None when it says more."""
    match = _LIST.fullmatch(definition)
    if match is None:
        return None
    values = _VALUES.findall(match.group(2) or match.group(3))  # -1 is printed as '-1'::integer, and 1 as 1
    return match.group(1), frozenset(re.sub(r"^'(-?\d+)'$", r"\1", value) for value in values)
