"""From a change to the log entries of one shape: ready-made protocol JSON (protocol section 1.5). Pure."""

from collections.abc import Mapping
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


def _listed(transaction: Transaction) -> bytes:
    return b",".join(b"%d" % xid for xid in (*transaction.others, transaction.xid))


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

    def entries(self, change: ChangeJson, transaction: Transaction) -> list[Entry]:
        """What this change is for this shape: nothing, one entry, or two when the key changes. Raises Rotate."""
        old: Any = change.get("old")
        new: Any = change.get("new")
        where = self._where
        match change["op"]:
            case "insert":
                return [self._insert(new, change, transaction)] if where is None or where.matches(new) else []
            case "delete":
                if old is None:
                    raise Rotate("a delete came without its old row: the table lost REPLICA IDENTITY FULL")
                return [self._delete(old, change, transaction)] if where is None or where.matches(old) else []
            case "update":
                return self._update(old, new, change, transaction)
            case "truncate":
                raise Rotate("the table was truncated")
            case "oversize":
                raise Rotate(f"a change of {change['bytes']} bytes does not fit into a message")
            case other:
                raise Rotate(f"an unknown operation {other!r}")

    def moved(self, row: Row, transaction: Transaction, position: int, *, inside: bool) -> Entry:
        """The row came into the shape, or left it, by a change of another row."""
        change = {"position": position}
        return self._insert(row, change, transaction) if inside else self._delete(row, change, transaction)

    def _update(self, old: Row | None, new: Row, change: ChangeJson, transaction: Transaction) -> list[Entry]:
        if old is None:
            raise Rotate("an update came without its old row: the table lost REPLICA IDENTITY FULL")
        if self._where is not None:
            was, now = self._where.matches(old), self._where.matches(new)
            if not was:
                return [self._insert(new, change, transaction)] if now else []
            if not now:
                return [self._delete(old, change, transaction)]
        changed = [name for name in self._columns if old.get(name) != new.get(name)]
        if not changed:
            return []
        before, after = self.row_key.of(old), self.row_key.of(new)
        if before != after:
            return [
                self._delete(old, change, transaction, key_change_to=after),
                self._insert(new, change, transaction, later=1, key_change_from=before),
            ]
        if self._full or not self._keyed:
            value = self._whole(new)
        else:
            value = {name: new.get(name) for name in dict.fromkeys((*self._key, *changed))}
        old_value = {name: old.get(name) for name in changed} if self._full else None
        return [self._entry("update", after, value, change, transaction, old_value=old_value)]

    def _insert(self, row: Row, change: ChangeJson, transaction: Transaction, later: int = 0, **marks: str) -> Entry:
        return self._entry("insert", self.row_key.of(row), self._whole(row), change, transaction, later, marks)

    def _delete(self, row: Row, change: ChangeJson, transaction: Transaction, **marks: str) -> Entry:
        whole = self._full or not self._keyed
        value = self._whole(row) if whole else {name: row.get(name) for name in self._key}
        return self._entry("delete", self.row_key.of(row), value, change, transaction, 0, marks)

    def _whole(self, row: Row) -> Row:
        if self._every_column and len(row) == len(self._columns):
            return row
        return {name: row.get(name) for name in self._columns}

    def _entry(
        self,
        operation: Operation,
        key: str,
        value: Row,
        change: ChangeJson,
        transaction: Transaction,
        later: int = 0,
        marks: Mapping[str, str] | None = None,
        old_value: Row | None = None,
    ) -> Entry:
        """`later`: 1 for the second entry of one change. The headers come last: `marked_last` relies on it.

        Written out of pieces, since the headers of a transaction's entries differ in one number only.
        """
        position = 2 * change["position"] + later
        body = b'{"key":%b,"value":%b%b%b%d","op_position":%d,"txids":[%b]%b}}' % (
            orjson.dumps(key),
            orjson.dumps(value),
            b',"old_value":' + orjson.dumps(old_value) if old_value is not None else b"",
            self._heads[operation],
            transaction.lsn,
            position,
            b"%d" % transaction.xid if not transaction.others else _listed(transaction),
            b"," + orjson.dumps(marks)[1:-1] if marks else b"",
        )
        return Entry(Offset(transaction.lsn, position), body)
