"""A view passes on what happens to what it reads: a service may know a table by its views alone. Pure."""

from collections.abc import Iterable, Iterator

from medley.gate.findings import OK, Finding
from medley.gate.objects import Catalogue, Entry, Table

# A view runs with the rights of its owner, has its own names, and is told of itself when it goes with a table.
_NOT_PASSED_ON = {
    "row-security", "drop-table", "rename-table", "replace-table", "rename-column", "drop-column", "drop-function",
    "change-enum", "change-domain", "change-composite",
}  # fmt: skip


def through_views(before: Catalogue, after: Catalogue, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of tables again, for every view that is there before and after and reads them."""
    waiting = [finding for finding in findings if finding.rule not in _NOT_PASSED_ON]
    seen = set(waiting)
    while waiting:
        finding = waiting.pop(0)
        for name, view in sorted(before.tables.items()):
            new = after.tables.get(name)
            if new is None or not (view.is_view and new.is_view):
                continue
            passed = _passed_on(finding, view, new.entry)
            if passed is not None and passed not in seen:
                seen.add(passed)
                waiting.append(passed)
                yield passed


def _passed_on(finding: Finding, view: Table, new: Entry) -> Finding | None:
    columns = (view.entry.facts.get("reads") or {}).get(finding.table)
    if columns is None:
        return None
    read = not finding.column or finding.column in columns
    reader = finding.reader if read else OK
    writer = finding.writer if new.facts.get("writable") else OK
    if reader == writer == OK:
        return None
    column = finding.column if finding.column in view.columns else ""
    sentence = f"{finding.sentence} (view {view.name} reads it)"
    return Finding(finding.rule, view.name, column, reader, writer, OK, sentence)
