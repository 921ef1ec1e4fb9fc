"""Foreign keys: come they refuse, gone they let rows through that point nowhere, and what a delete does may change."""

from collections.abc import Iterator

from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding
from medley.gate.rules.guards import Change, Guard

_ACTS = "cnd"  # cascade, set null, set default: rows change that no statement names


def references(change: Change) -> Iterator[Finding]:
    paired, gone, come = change.pairs("f")
    for old, new in paired:
        yield from _changed(change, old, new)
    for guard in gone:
        place = change.place(guard)
        sentence = f"foreign key {guard.name} of {place} is gone: rows may come without what they point to"
        yield from change.told("drop-foreign-key", guard, OK, OK, BREAKS, sentence)
    for guard in come:
        if guard.columns:  # one of new columns alone asks nothing of rows that leave them out
            sentence = f"foreign key {guard.name} is added to {change.place(guard)}: {guard.entry.definition}"
            yield from change.told("add-foreign-key", guard, OK, BREAKS, OK, sentence)


def _changed(change: Change, old: Guard, new: Guard) -> Iterator[Finding]:
    was, now, place = old.entry.facts, new.entry.facts, change.place(old)
    if (was["action"], was["update"]) != (now["action"], now["update"]):
        sentence = f"foreign key {old.name} of {place} changes what a delete or an update does: {new.entry.definition}"
        yield from change.told("change-foreign-key-action", old, OK, BREAKS, _fed(was, now), sentence)
    elif old.says != f"{new.says}".removesuffix(" DEFERRABLE"):
        sentence = f"foreign key {old.name} of {place} changes to {new.entry.definition}"
        replica: Class = OK if old.says.removesuffix(" DEFERRABLE") == new.says else BREAKS
        yield from change.told("change-foreign-key", old, OK, BREAKS, replica, sentence)


def _fed(was: dict[str, str], now: dict[str, str]) -> Class:
    """What a copy with the old action makes of it. A delete comes before those that it brings about, and is refused;
    a copy that acts by itself does not hear what happens instead."""
    pairs = [(was[fact], now[fact]) for fact in ("action", "update")]
    if any(now in _ACTS and was not in _ACTS for was, now in pairs):
        return BREAKS
    return LOSSY if any(now != was and now in _ACTS for was, now in pairs) else OK
