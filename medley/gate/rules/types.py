"""Types of ours: enums, domains and composites, told once for each column that has one."""

from collections.abc import Iterator

from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding
from medley.gate.objects import Catalogue, Entry

_Classes = tuple[Class, Class, Class, str]


def types(before: Catalogue, after: Catalogue) -> Iterator[Finding]:
    for kind, name, (reader, writer, replica, what) in _changes(before, after):
        for table in before.tables.values():
            for column in table.columns.values():
                if column.facts["plain_type"] == name:
                    sentence = f"{kind} {name} of column {table.name}.{column.name} {what}"
                    yield Finding(f"change-{kind}", table.name, column.name, reader, writer, replica, sentence)


def _changes(before: Catalogue, after: Catalogue) -> Iterator[tuple[str, str, _Classes]]:
    composites = set()
    for key, old in sorted(before.by_key.items()):
        new = after.by_key.get(key)
        if key[0] == "attribute" and (new is None or new.definition != old.definition):
            composites.add(old.relation)
        elif key[0] in ("enum", "domain") and new is not None and new.definition != old.definition:
            yield key[0], old.name, _enum(old, new) if key[0] == "enum" else _domain(old, new)
    added = {
        entry.relation for key, entry in after.by_key.items() if key[0] == "attribute" and key not in before.by_key
    }
    for name in sorted(composites | added):
        yield "composite", name, (BREAKS, BREAKS, BREAKS, "has other attributes now")


def _enum(old: Entry, new: Entry) -> _Classes:
    was, now = old.facts["labels"], new.facts["labels"]
    added, lost = [label for label in now if label not in was], [label for label in was if label not in now]
    if added and lost:
        return BREAKS, BREAKS, BREAKS, f"gets {', '.join(added)} and loses {', '.join(lost)}"
    if added:
        return BREAKS, OK, BREAKS, f"gets {', '.join(added)}"
    if lost:
        return OK, BREAKS, OK, f"loses {', '.join(lost)}"
    return LOSSY, OK, LOSSY, "changes its order"


def _domain(old: Entry, new: Entry) -> _Classes:
    if old.facts["base"] != new.facts["base"]:
        return BREAKS, BREAKS, BREAKS, f"changes from {old.facts['base']} to {new.facts['base']}"
    was, now = _refusals(old), _refusals(new)
    looser, tighter = bool(was - now), bool(now - was)
    return BREAKS if looser else OK, BREAKS if tighter else OK, BREAKS if looser else OK, f"is now {new.definition}"


def _refusals(domain: Entry) -> set[str]:
    checks = {check.removesuffix(" NOT VALID") for check in (domain.facts["checks"] or {}).values()}
    return checks | ({"NOT NULL"} if domain.facts["not_null"] else set())
