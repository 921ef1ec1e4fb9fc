"""What a change of the schema breaks, and for whom. Pure: two catalogues in, findings out.

Three roles stand against a change: a **reader** runs old queries on the new schema, a **writer** old inserts and
updates, a **replica** keeps the old schema and is fed rows of the new one. Loosening breaks replicas, tightening breaks
writers. The rules were executed, one by one, and the tests execute them again (tests/integration/gate).
"""

from collections.abc import Iterator

from medley.gate.findings import BREAKS, LOSSY, OK, Finding
from medley.gate.objects import Catalogue, Table
from medley.gate.rules.checks import checks
from medley.gate.rules.columns import columns
from medley.gate.rules.guards import Change
from medley.gate.rules.keys import keys
from medley.gate.rules.lineage import Heir, Lineage
from medley.gate.rules.references import references
from medley.gate.rules.silent import functions, row_security, triggers
from medley.gate.rules.through_views import through_views
from medley.gate.rules.types import types


def compare(before: Catalogue, after: Catalogue) -> list[Finding]:
    """Everything between two states that an old reader, writer or replica could notice, in a stable order."""
    findings: list[Finding] = []
    changed = {
        key[1] for key in before.by_key.keys() | after.by_key.keys() if before.by_key.get(key) != after.by_key.get(key)
    }
    lineage = Lineage(before, after)
    for name, old in sorted(before.tables.items()):
        if name in changed:
            findings.extend(_relation(old, lineage))
    findings.extend(types(before, after))
    findings.extend(functions(before, after))
    findings.extend(through_views(before, after, findings))
    return list(dict.fromkeys(findings))


def _relation(old: Table, lineage: Lineage) -> Iterator[Finding]:
    """A table or a view: what its name stands for now, and in what that is another."""
    name, kind = old.name, "view" if old.is_view else "table"
    here, moved = lineage.after.tables.get(name), lineage.name_now(old)
    if moved is not None and moved != name and (here is None or here.is_view) and not old.is_view:
        heir = Heir(lineage, old, lineage.after.tables[moved])
        if here is None:
            sentence = f"table {name} is renamed to {moved}"
            yield Finding("rename-table", name, "", BREAKS, BREAKS, BREAKS, sentence)
            return
        if not _stands_in(here, heir):
            sentence = f"table {name} is renamed to {moved}, and the view of its name is not all of it"
            yield Finding("replace-table", name, "", BREAKS, BREAKS, BREAKS, sentence)
            return
        yield from _table(heir)
    elif here is None:
        yield from _gone(old, kind, lineage)
    elif old.is_view != here.is_view:
        sentence = f"{kind} {name} is replaced by a {'view' if here.is_view else 'table'}"
        yield Finding("replace-table", name, "", BREAKS, BREAKS, BREAKS, sentence)
    elif (other := lineage.name_before(here)) not in (None, name) and not old.is_view:
        sentence = f"the name {name} is that of another table now, which was {other}"
        yield Finding("replace-table", name, "", BREAKS, BREAKS, BREAKS, sentence)
    else:
        if not old.is_view and moved != name and lineage.comparable(old):
            sentence = f"table {name} is dropped and made anew: its rows are gone, and copies of them stay elsewhere"
            yield Finding("recreate-table", name, "", LOSSY, OK, BREAKS, sentence)
        if old.entry.facts.get("partition_of") and not here.entry.facts.get("partition_of"):
            yield from _gone(old, kind, lineage)
        yield from _table(Heir(lineage, old, here))


def _gone(old: Table, kind: str, lineage: Lineage) -> Iterator[Finding]:
    """Services know a partition by the table that it is a part of."""
    parent = old.entry.facts.get("partition_of")
    if parent in lineage.after.tables:
        sentence = f"{old.name}, a partition of {parent}, is gone with its rows, and copies of them stay elsewhere"
        yield Finding("drop-partition", parent, "", LOSSY, OK, LOSSY, sentence)
        return
    yield Finding("drop-table", old.name, "", BREAKS, BREAKS, BREAKS, f"{kind} {old.name} is dropped")


def _stands_in(view: Table, heir: Heir) -> bool:
    """Is this a simple view under the old name: all rows of the table, the old columns with their types, and writes go
    through?"""
    whole = list(view.entry.facts["reads"] or {}) == [heir.new.name] and " WHERE " not in view.entry.definition
    return bool(whole and view.entry.facts["updatable"]) and all(
        name in view.columns
        and view.columns[name].facts["updatable"]
        and view.columns[name].facts["type"] == column.facts["type"]
        for name, column in heir.old.columns.items()
    )


def _table(heir: Heir) -> Iterator[Finding]:
    yield from columns(heir)
    if heir.old.is_view:
        return
    change = Change(heir)
    yield from keys(change)
    yield from checks(change)
    yield from references(change)
    yield from row_security(heir)
    yield from triggers(heir)
