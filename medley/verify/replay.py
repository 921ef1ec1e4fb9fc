"""A shape's snapshot and log, played up to one snapshot of Postgres. Pure but for the rows, which `Held` keeps.

An entry counts when the snapshot sees its transactions. For a shape of one table, those that do not count may stand
between others: whoever writes a row waits for the one before. With subqueries a row moves by another's change, so there
everything that counts must stand before everything that does not.
"""

from collections.abc import Iterator
from typing import Literal

from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import Transient
from medley.sql.visibility import Snapshot
from medley.verify.chain import REMEDY, Entry, offset_of
from medley.verify.findings import Finding
from medley.verify.held import Held


class Unsettled(Transient):
    """The snapshot lies in the middle of what was shown as one: look again with another."""


class Replay:
    """`doubled` and `absent` mean that an entry does not fit what was there before it."""

    def __init__(self, record: ShapeRecord, seen: Snapshot, held: Held) -> None:
        self._handle = record.handle
        self._begin = record.snapshot_end
        self._seen = seen
        self._held = held
        self._keyed = any(column.pk_index is not None for column in record.columns)
        self._strict = record.definition.log == "full"
        self._in_order = record.predicate is not None and bool(record.predicate.tables)
        self._left_out = False

    def row(self, entry: Entry) -> Iterator[Finding]:
        """One of the snapshot; its last message is none."""
        if "key" in entry:
            yield from self._apply(entry, "its snapshot")

    def entry(self, entry: Entry) -> Iterator[Finding]:
        """One of the log. Raises Unsettled."""
        if offset_of(entry) <= self._begin:
            return
        seen = {self._seen.sees(xid) for xid in entry["headers"]["txids"]}
        if len(seen) > 1 or (self._in_order and self._left_out and True in seen):
            raise Unsettled("transactions that were shown as one are not all visible yet")
        if False in seen:
            self._left_out = True
        else:
            yield from self._apply(entry, str(offset_of(entry)))

    def _apply(self, entry: Entry, place: str) -> Iterator[Finding]:
        key, value = entry["key"], entry["value"]
        match entry["headers"]["operation"]:
            case "insert":
                if not self._held.insert(key, value) and self._keyed:
                    self._held.only_once(key)
                    yield self._misfit("doubled entry", key, f"an insert of it at {place} while it is there")
            case "update":
                if not self._held.update(key, value) and self._strict:
                    yield self._misfit("absent row", key, f"an update of it at {place} while it is absent")
            case _:
                if not self._held.delete(key) and self._strict:
                    yield self._misfit("absent row", key, f"a delete of it at {place} while it is absent")

    def _misfit(self, kind: Literal["doubled entry", "absent row"], key: str, found: str) -> Finding:
        return Finding("shape", kind, self._handle, key, found, "entries that fit", REMEDY)
