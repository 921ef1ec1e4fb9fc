"""What a change of the schema breaks, and for whom. Pure: two catalogues in, findings out.

Three roles stand against a change: a **reader** runs old queries on the new schema, a **writer** old inserts and
updates, a **replica** keeps the old schema and is fed rows of the new one. Loosening breaks replicas, tightening breaks
writers. The rules were executed, one by one, and the tests execute them again (tests/integration/gate).
"""

from collections.abc import Iterator

from medley.gate.catalogue import Catalogue, Table
from medley.gate.findings import BREAKS, LOSSY, OK, Finding
from medley.gate.rules.columns import columns
from medley.gate.rules.guards import guards
from medley.gate.rules.silent import functions, row_security, triggers, types


def compare(before: Catalogue, after: Catalogue) -> list[Finding]:
    """Everything between two states that an old reader, writer or replica could notice, in a stable order."""
    findings: list[Finding] = []
    changed = {
        key[1] for key in before.by_key.keys() | after.by_key.keys() if before.by_key.get(key) != after.by_key.get(key)
    }
    successors = _successors(before, after)
    for name, old in sorted((name, table) for name, table in before.tables.items() if name in changed):
        new = after.tables.get(successors[name])
        if new is None:
            kind = "view" if old.is_view else "table"
            findings.append(Finding("drop-table", name, "", BREAKS, BREAKS, BREAKS, f"{kind} {name} is dropped"))
            continue
        if new.name != name and not _stands_in(after.tables.get(name), old):
            findings.append(
                Finding("rename-table", name, "", BREAKS, BREAKS, BREAKS, f"table {name} is renamed to {new.name}")
            )
            continue
        findings.extend(_table(old, new, _same_object(old, new)))
    findings.extend(types(before, after))
    findings.extend(functions(before, after))
    return findings


def _successors(before: Catalogue, after: Catalogue) -> dict[str, str]:
    """Old name to new name: the same object where object ids say so, else the object of that name."""
    ids = {table.entry.facts["oid"]: name for name, table in after.tables.items() if not table.is_view}
    result = {}
    for name, old in before.tables.items():
        here = after.tables.get(name)
        moved = ids.get(old.entry.facts["oid"], name)
        result[name] = moved if here is None or (here.is_view and not old.is_view) else name
    return result


def _same_object(old: Table, new: Table) -> bool:
    return bool(old.entry.facts["oid"] == new.entry.facts["oid"])


def _stands_in(view: Table | None, old: Table) -> bool:
    """Is this a simple view under the old name: the old columns with their types, and writes go through?"""
    return (
        view is not None
        and view.is_view
        and bool(view.entry.facts.get("updatable"))
        and all(
            name in view.columns and view.columns[name].facts["type"] == column.facts["type"]
            for name, column in old.columns.items()
        )
    )


def _table(old: Table, new: Table, same: bool) -> Iterator[Finding]:
    if old.is_view != new.is_view:
        kind = "view" if new.is_view else "table"
        yield Finding("replace-table", old.name, "", BREAKS, BREAKS, BREAKS, f"{old.name} is replaced by a {kind}")
        return
    if not old.is_view and not same:
        sentence = f"table {old.name} is dropped and made anew, without its rows"
        yield Finding("recreate-table", old.name, "", LOSSY, OK, BREAKS, sentence)
    yield from columns(old, new, same)
    if old.is_view:
        return
    yield from guards(old, new)
    yield from row_security(old, new)
    yield from triggers(old, new)
