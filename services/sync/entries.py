"""From a change to the log entries of one shape: ready-made protocol JSON (protocol section 1.5). Pure."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Literal, NamedTuple, Protocol, get_args

import orjson

from medley.contracts.offsets import Offset
from medley.contracts.row_key import RowKey
from medley.contracts.shapes import ShapeRecord

Row = Mapping[str, str | None]
ChangeJson = dict[str, Any]
"""One change of a CHANGES message: `op`, `position`, and `old` and `new` rows."""


Operation = Literal["insert", "update", "delete"]


class Entry(NamedTuple):
    offset: Offset
    body: bytes
    """A JSON object that ends with its headers."""


class Rotate(Exception):
    """The shape's log cannot go on after this change; clients must fetch it again."""


class Transaction(NamedTuple):
    lsn: int
    xid: int
    others: tuple[int, ...] = ()
    """The ids of transactions before it that are shown with it, as one."""


def marked_last(entry: Entry) -> Entry:
    """The entry with `last: true` in its headers, which are the last thing in its body."""
    return Entry(entry.offset, entry.body[:-2] + b',"last":true}}')


class Clause(Protocol):
    """Decides whether a row belongs to the shape."""

    def matches(self, row: Row) -> bool: ...


class Encoder:
    """Knows one shape's columns, key and clause, and writes its entries."""

    __slots__ = (
        *("_columns", "_every_column", "_full", "_heads", "_key", "_keyed", "_relation"),
        *("_where", "row_key", "snapshot_headers"),
    )

    def __init__(self, record: ShapeRecord, where: Clause | None) -> None:
        definition = record.definition
        self._where = where
        self._columns = tuple(column.name for column in record.columns)
        self.row_key = RowKey(definition.schema_name, definition.table, record.columns)
        self._key = self.row_key.primary
        self._keyed = bool(self._key)
        self._full = definition.replica == "full"
        self._every_column = definition.columns is None
        self._relation = [definition.schema_name, definition.table]
        self.snapshot_headers = {"operation": "insert", "relation": self._relation}
        relation = orjson.dumps(self._relation)
        self._heads: dict[Operation, bytes] = {
            operation: b',"headers":{"operation":"%b","relation":%b,"lsn":"' % (operation.encode(), relation)
            for operation in get_args(Operation)
        }

    def deciding(self, where: Clause | None) -> "Encoder":
        """The same for another clause; all else is shared."""
        made = copy(self)
        made._where = where
        return made

    def snapshot_entry(self, values: list[str | None]) -> bytes:
        """One row of the snapshot, its values in the order of the shape's columns."""
        row = dict(zip(self._columns, values, strict=True))
        return orjson.dumps({"key": self.row_key.of(row), "value": row, "headers": self.snapshot_headers})

    def entries(self, changes: Sequence[ChangeJson], transaction: Transaction) -> list[Entry]:
        """What changes of one transaction are for this shape, in order: each nothing, an entry, or two when the key
        changes. Raises Rotate."""
        made: list[Entry] = []
        told, where = _Told(self._heads, transaction), self._where
        for change in changes:
            match change["op"]:
                case "insert":
                    new = change["new"]
                    if where is None or where.matches(new):
                        made.append(self._insert(told, new, 2 * change["position"]))
                case "update":
                    made += self._update(told, change.get("old"), change["new"], 2 * change["position"])
                case "delete":
                    old = change.get("old")
                    if old is None:
                        raise Rotate("a delete came without its old row: the table lost REPLICA IDENTITY FULL")
                    if where is None or where.matches(old):
                        made.append(self._delete(told, old, 2 * change["position"]))
                case "truncate":
                    raise Rotate("the table was truncated")
                case "oversize":
                    raise Rotate(f"a change of {change['bytes']} bytes does not fit into a message")
                case other:
                    raise Rotate(f"an unknown operation {other!r}")
        return made

    def moved(self, row: Row, transaction: Transaction, position: int, *, inside: bool) -> Entry:
        """The row came into the shape, or left it, by a change of another row."""
        told = _Told(self._heads, transaction)
        return (self._insert if inside else self._delete)(told, row, 2 * position)

    def _update(self, told: "_Told", old: Row | None, new: Row, position: int) -> list[Entry]:
        if old is None:
            raise Rotate("an update came without its old row: the table lost REPLICA IDENTITY FULL")
        if self._where is not None:
            was, now = self._where.matches(old), self._where.matches(new)
            if not was:
                return [self._insert(told, new, position)] if now else []
            if not now:
                return [self._delete(told, old, position)]
        changed = [name for name in self._columns if old.get(name) != new.get(name)]
        if not changed:
            return []
        before, after = self.row_key.of(old), self.row_key.of(new)
        if before != after:
            return [
                self._delete(told, old, position, {"key_change_to": after}),
                self._insert(told, new, position + 1, {"key_change_from": before}),
            ]
        if self._full or not self._keyed:
            value = self._whole(new)
        else:
            value = {name: new.get(name) for name in dict.fromkeys((*self._key, *changed))}
        more = b',"old_value":' + orjson.dumps({name: old.get(name) for name in changed}) if self._full else b""
        return [told.entry("update", after, value, position, more)]

    def _insert(self, told: "_Told", row: Row, position: int, marks: Mapping[str, str] | None = None) -> Entry:
        return told.entry("insert", self.row_key.of(row), self._whole(row), position, marks=marks)

    def _delete(self, told: "_Told", row: Row, position: int, marks: Mapping[str, str] | None = None) -> Entry:
        whole = self._full or not self._keyed
        value = self._whole(row) if whole else {name: row.get(name) for name in self._key}
        return told.entry("delete", self.row_key.of(row), value, position, marks=marks)

    def _whole(self, row: Row) -> Row:
        if self._every_column and len(row) == len(self._columns):
            return row
        return {name: row.get(name) for name in self._columns}


class _Told:
    """Writes entries of one transaction, out of pieces: their headers differ in little more than one number.

    The headers come last: `marked_last` relies on it.
    """

    __slots__ = ("_end", "_heads", "_lsn", "_written")

    def __init__(self, heads: Mapping[Operation, bytes], transaction: Transaction) -> None:
        self._heads = heads
        self._lsn = transaction.lsn
        self._end = b',"txids":[%b]' % b",".join([b"%d" % xid for xid in (*transaction.others, transaction.xid)])
        self._written: dict[Operation, bytes] = {}

    def entry(
        self,
        operation: Operation,
        key: str,
        value: Row,
        position: int,
        more: bytes = b"",
        marks: Mapping[str, str] | None = None,
    ) -> Entry:
        """`more`: members of the entry beside its key and value, `marks`: of its headers."""
        head = self._written.get(operation)
        if head is None:
            head = self._written[operation] = b'%b%d","op_position":' % (self._heads[operation], self._lsn)
        marked = b"," + orjson.dumps(marks)[1:-1] if marks else b""
        body = b'{"key":%b,"value":%b%b%b%d%b%b}}' % (
            orjson.dumps(key),
            orjson.dumps(value),
            more,
            head,
            position,
            self._end,
            marked,
        )
        return Entry(Offset(self._lsn, position), body)
