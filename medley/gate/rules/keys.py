"""Primary keys, unique constraints and indexes, exclusions: what ON CONFLICT stands on, and what copies rely on."""

from collections.abc import Iterable, Iterator

from medley.gate.findings import BREAKS, OK, Finding
from medley.gate.rules.guards import Change, Guard, is_plainly_unique


def keys(change: Change) -> Iterator[Finding]:
    for guard in change.gone("p"):
        sentence = f"the primary key of {change.table} is no longer ({', '.join(guard.columns)})"
        # A published table without one takes no updates, even if its rows are unique all the same.
        replica = OK if _implied(guard, change.now.values()) else BREAKS
        yield Finding("change-primary-key", change.table, "", OK, BREAKS, replica, sentence)
    for guard in change.gone("u", "x"):
        yield from _gone(change, guard)
    for guard in change.come("u", "x"):
        if not _harmless(change, guard):
            sentence = f"{guard.name} is added to {change.place(guard)}: {guard.entry.definition}"
            yield from change.told("add-unique", guard, OK, BREAKS, OK, sentence)
    for guard in change.come("p"):
        if not (change.gone("p") or _harmless(change, guard)):
            sentence = f"{change.place(guard)} is the primary key now, and was none"
            yield from change.told("add-primary-key", guard, OK, BREAKS, OK, sentence)


def _gone(change: Change, guard: Guard) -> Iterator[Finding]:
    now, place = list(change.now.values()), change.place(guard)
    alike = [other for other in now if _key(other) is not None and _key(other) == _key(guard)]
    if any(not other.deferrable for other in alike):
        return  # another one says the same
    if alike:
        sentence = f"{guard.name} of {place} is DEFERRABLE now: ON CONFLICT cannot stand on it"
        yield from change.told("defer-unique", guard, OK, BREAKS, OK, sentence)
        return
    writer, replica = OK if guard.deferrable else BREAKS, OK if _implied(guard, now) else BREAKS
    what = "and copies may meet duplicates" if replica == BREAKS else "though duplicates are refused all the same"
    sentence = f"{guard.name} of {place} is gone: ON CONFLICT has no arbiter, {what}"
    yield from change.told("drop-unique", guard, OK, writer, replica, sentence)


def _key(guard: Guard) -> frozenset[str] | None:
    """The columns in which no two rows are alike; None where that holds for some rows only."""
    if guard.kind == "p" or is_plainly_unique(guard.entry):
        return frozenset((*guard.columns, *guard.others))
    return None


def _harmless(change: Change, guard: Guard) -> bool:
    return _implied(guard, change.was.values()) or _left_out(change, guard)


def _implied(guard: Guard, others: Iterable[Guard]) -> bool:
    """Do others refuse all that this one refuses? They do when they ask for fewer columns to differ."""
    columns = set(guard.entry.facts["columns"] or ()) if guard.kind in "pu" else set()
    names = {*guard.columns, *guard.others} if _key(guard) is not None else columns
    return any((key := _key(other)) is not None and not other.deferrable and key <= names for other in others)


def _left_out(change: Change, guard: Guard) -> bool:
    """Is it about new columns alone, which rows of old writers leave out? NULLs differ from each other, and so do the
    values that a function gives; one constant for all rows does not."""
    columns = [change.heir.new.columns[name] for name in guard.others]
    if guard.columns or not columns:
        return False
    if any(column.facts["identity"] or "(" in (column.facts["expression"] or "") for column in columns):
        return True
    one_null = guard.kind == "p" or "NULLS NOT DISTINCT" in guard.entry.definition
    return not one_null and any(not column.facts["default"] for column in columns)
