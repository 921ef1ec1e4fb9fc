"""What no old statement would show: row security, triggers, rules, functions that are gone."""

from collections.abc import Iterator

from medley.gate.findings import BREAKS, OK, Finding
from medley.gate.objects import Catalogue, Entry
from medley.gate.rules.lineage import Heir


def row_security(heir: Heir) -> Iterator[Finding]:
    was, now = heir.old.entry.facts, heir.new.entry.facts
    on = now["row_security"] and not was["row_security"]
    if on or (now["row_security"] and ((now["forced"] and not was["forced"]) or _stricter(heir))):
        what = "is switched on" if on else "changes"
        sentence = f"row level security of {heir.old.name} {what}: rows may be hidden or refused without an error"
        yield Finding("row-security", heir.old.name, "", BREAKS, BREAKS, OK, sentence)


def _stricter(heir: Heir) -> bool:
    """One more permissive policy only shows more; whatever else happens to policies may hide rows."""
    was, now = (
        {name: entry.definition for name, entry in table.others.items() if entry.kind == "policy"}
        for table in (heir.old, heir.new)
    )
    added = [definition for name, definition in now.items() if name not in was]
    return any(now.get(name) != definition for name, definition in was.items()) or any(
        definition.startswith("restrictive") for definition in added
    )


def triggers(heir: Heir) -> Iterator[Finding]:
    """Triggers that act before a row is written or may refuse it, and rules; others only follow."""
    table = heir.old.name
    was = {name: (heir.today(e.definition), e) for name, e in heir.old.others.items() if _acts(e)}
    now = {name: (e.definition, e) for name, e in heir.new.others.items() if _acts(e)}
    for name, (definition, entry) in sorted(now.items()):
        if name not in was or was[name][0] != definition:
            sentence = f"{entry.kind} {name} of {table} is new or another: it may change or refuse what is written"
            yield Finding(f"add-{entry.kind}", table, "", OK, BREAKS, OK, sentence)
    for name, (_, entry) in sorted(was.items()):
        if name not in now:
            sentence = f"{entry.kind} {name} of {table} is gone: what it did to what is written is not done any more"
            yield Finding(f"drop-{entry.kind}", table, "", OK, BREAKS, OK, sentence)


def _acts(entry: Entry) -> bool:
    if entry.kind == "trigger":
        return bool(entry.facts["enabled"] and (entry.facts["before"] or entry.facts["constraint"]))
    return entry.kind == "rule"


def functions(before: Catalogue, after: Catalogue) -> Iterator[Finding]:
    """A function that is called by name; one for triggers goes with its trigger."""
    for key, old in sorted(before.by_key.items()):
        if key[0] == "function" and key not in after.by_key and " returns trigger " not in old.definition:
            yield Finding("drop-function", "", "", BREAKS, BREAKS, OK, f"function {old.name} is dropped")
