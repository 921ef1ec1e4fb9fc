"""What no old statement would show: row security, triggers, rules, enums, domains, functions that are gone."""

from collections.abc import Iterator

from medley.gate.catalogue import Catalogue, Entry, Table
from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding


def row_security(old: Table, new: Table) -> Iterator[Finding]:
    was, now = old.entry.facts, new.entry.facts
    policies = {name: e.definition for name, e in old.others.items() if e.kind == "policy"}
    later = {name: e.definition for name, e in new.others.items() if e.kind == "policy"}
    on = now["row_security"] and not was["row_security"]
    stricter = now["row_security"] and ((now["forced"] and not was["forced"]) or policies != later)
    if on or stricter:
        what = "is switched on" if on else "changes"
        sentence = f"row level security of {old.name} {what}: rows may be hidden or refused without an error"
        yield Finding("row-security", old.name, "", BREAKS, BREAKS, OK, sentence)


def triggers(old: Table, new: Table) -> Iterator[Finding]:
    for name, trigger in sorted(new.others.items()):
        before = old.others.get(name)
        if trigger.kind == "rule" and (before is None or before.definition != trigger.definition):
            yield Finding(
                "add-rule", old.name, "", OK, BREAKS, OK, f"rule {name} of {old.name} rewrites what is written"
            )
        acts = (
            trigger.kind == "trigger"
            and trigger.facts["enabled"]
            and (trigger.facts["before"] or trigger.facts["constraint"])
        )
        if acts and (before is None or before.definition != trigger.definition):
            sentence = f"trigger {name} of {old.name} may change or refuse what is written"
            yield Finding("add-trigger", old.name, "", OK, BREAKS, OK, sentence)


def types(before: Catalogue, after: Catalogue) -> Iterator[Finding]:
    """Enums and domains, told once for each column that has one."""
    for key, old in sorted(before.by_key.items()):
        if key[0] not in ("enum", "domain"):
            continue
        new = after.by_key.get(key)
        if new is None or new.definition == old.definition:
            continue
        reader, writer, replica, what = _enum(old, new) if key[0] == "enum" else _domain(old, new)
        sentence = f"{old.title} {what}"
        for table in before.tables.values():
            for column in table.columns.values():
                if column.facts["plain_type"] == old.name and not table.is_view:
                    yield Finding(f"change-{key[0]}", table.name, column.name, reader, writer, replica, sentence)


def _enum(old: Entry, new: Entry) -> tuple[Class, Class, Class, str]:
    was, now = old.facts["labels"], new.facts["labels"]
    if set(was) <= set(now):
        added = ", ".join(label for label in now if label not in was)
        return (BREAKS, OK, BREAKS, f"gets {added}") if added else (LOSSY, OK, LOSSY, "changes its order")
    return BREAKS, BREAKS, BREAKS, f"loses {', '.join(label for label in was if label not in now)}"


def _domain(old: Entry, new: Entry) -> tuple[Class, Class, Class, str]:
    if old.facts["base"] != new.facts["base"]:
        return BREAKS, BREAKS, BREAKS, f"changes from {old.facts['base']} to {new.facts['base']}"
    was, now = set((old.facts["checks"] or {}).values()), set((new.facts["checks"] or {}).values())
    tighter = bool(now - was) or (new.facts["not_null"] and not old.facts["not_null"])
    looser = bool(was - now) or (old.facts["not_null"] and not new.facts["not_null"])
    return BREAKS if looser else OK, BREAKS if tighter else OK, BREAKS if looser else OK, f"is now {new.definition}"


def functions(before: Catalogue, after: Catalogue) -> Iterator[Finding]:
    for key, old in sorted(before.by_key.items()):
        if key[0] == "function" and key not in after.by_key:
            yield Finding("drop-function", "", "", BREAKS, BREAKS, OK, f"function {old.name} is dropped")
