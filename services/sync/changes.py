"""Turn decoded transactions into messages of CHANGES: one for each transaction and table run. Pure.

A message's id is the place of its first change: the commit LSN, and the position in the transaction; and the era, for
a database that was set back may use a place again, which JetStream would take for a repeat. A change whose
place the stream has reached is left out, so a transaction that is decoded again after a crash goes on where it
stopped, however the messages were cut before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from medley.contracts import headers, subjects
from services.sync.pgoutput import Begin, Change, Commit, Delete, Insert, Relation, Truncate, Update
from services.sync.written import Changes


@dataclass(frozen=True, slots=True)
class Message:
    """One message of CHANGES; `id` is `<commit LSN>:<position of the first change>:<era>`."""

    subject: str
    payload: bytes
    id: str
    last: bool
    """Of its transaction."""
    headers: dict[str, str]


_NONE: Sequence[Message] = ()

Place = tuple[int, int]
"""(commit LSN, position in the transaction); places compare in the order of the stream."""


class Identity(NamedTuple):
    """Of a transaction. In a database that was restored, another one may have its LSN and xid; none has its time."""

    lsn: int
    xid: int
    commit_time: str

    @classmethod
    def of(cls, begin: Begin) -> "Identity":
        return cls(begin.lsn, begin.xid, str(orjson.loads(_commit_time(begin))))


def last_of(payload: bytes) -> tuple[Place, Identity]:
    """The place of a message's last change, and its transaction."""
    body = orjson.loads(payload)
    identity = Identity(int(body["lsn"]), body["xid"], body["commit_time"])
    return (identity.lsn, body["changes"][-1]["position"]), identity


def _commit_time(begin: Begin) -> bytes:
    return orjson.dumps(datetime.fromtimestamp(begin.commit_time / 1e6, UTC))


class Assembler:
    """Takes the events of one transaction after another and returns the messages that are complete.

    A message is closed when the table changes or when it has `limit` bytes; the last one of a transaction is
    closed by its commit and says so. Changes up to `stored` are left out. A change of more than `largest` bytes does
    not fit into any message: in its place stands one that says so (`oversize`), and shapes of its table start afresh.
    """

    def __init__(self, limit: int, largest: int, stored: Place = (0, -1), era: str = "") -> None:
        self._limit = limit
        self._largest = largest
        self._stored = stored
        self._era = era
        self._tables: dict[Relation, _Table] = {}
        self._begin: Begin | None = None
        self._relation: Relation | None = None
        self._table: _Table | None = None
        """Of the relation."""
        self._changes: list[bytes] = []
        self._bytes = 0
        self._first = 0
        self._position = 0
        self._known = -1.0
        """Up to this position, the open transaction is in the stream."""

    @property
    def inside(self) -> bool:
        """Whether a transaction is open: its begin was seen and its commit was not."""
        return self._begin is not None

    def begin(self, event: Begin) -> None:
        self._begin = event
        self._relation = None
        self._position = self._first = 0
        lsn, position = self._stored
        self._known = position if event.lsn == lsn else math.inf if event.lsn < lsn else -1

    def change(self, event: Change) -> Sequence[Message]:
        """Add one change; returns the messages that it closed."""
        if isinstance(event, Truncate):
            return [message for relation in event.relations for message in self._add(relation, None)]
        return self._add(event.relation, event)

    def commit(self, event: Commit) -> Sequence[Message]:
        """Close the transaction. A transaction without changes gives no message."""
        closed = self._close(last=True)
        self._begin = None
        return closed

    def _add(self, relation: Relation, change: Insert | Update | Delete | None) -> Sequence[Message]:
        """None: it was truncated."""
        position = self._position
        self._position += 1
        if position <= self._known:
            return _NONE
        closed = _NONE
        if relation is not self._relation:
            closed = self._close(last=False)
            self._begins(relation)
        assert self._table is not None
        encoded = b'{"op":"truncate","position":%d}' % position
        if change is not None:
            encoded = self._table.changes.of(change, position)
            if len(encoded) > self._largest:
                encoded = b'{"op":"oversize","position":%d,"bytes":%d}' % (position, len(encoded))
        if self._changes and self._bytes + len(encoded) > self._limit:
            closed = self._close(last=False)
        if not self._changes:
            self._first = position
        self._changes.append(encoded)
        self._bytes += len(encoded) + 1
        return closed

    def _begins(self, relation: Relation) -> None:
        self._relation = relation
        self._table = self._tables.get(relation)
        if self._table is None:
            self._table = self._tables[relation] = _Table.of(relation)

    def _close(self, *, last: bool) -> Sequence[Message]:
        begin, table = self._begin, self._table
        if not self._changes or begin is None or table is None:
            return _NONE
        payload = _payload(table.head, begin, self._changes)
        message_id = f"{begin.lsn}:{self._first}:{self._era}"
        message = Message(
            subject=table.subject,
            payload=payload,
            id=message_id,
            last=last,
            headers={
                headers.MSG_ID: message_id,
                headers.LSN: str(begin.lsn),
                headers.XID: str(begin.xid),
                headers.POSITION: str(self._first),
                headers.LAST: "true" if last else "false",
            },
        )
        self._changes, self._bytes = [], 0
        return (message,)


class _Table(NamedTuple):
    """What all messages of a table have in common: the subject, the beginning of the body, how changes are written."""

    subject: str
    head: bytes
    changes: Changes

    @classmethod
    def of(cls, relation: Relation) -> "_Table":
        described = {
            "schema": relation.schema,
            "table": relation.table,
            "oid": relation.oid,
            "columns": relation.columns,
        }
        subject = subjects.changes(relation.schema, relation.table)
        return cls(subject, orjson.dumps(described)[:-1], Changes(relation))


def _payload(head: bytes, begin: Begin, changes: list[bytes]) -> bytes:
    return b'%b,"lsn":"%d","xid":%d,"commit_time":%b,"changes":[%b]}' % (
        head,
        begin.lsn,
        begin.xid,
        _commit_time(begin),
        b",".join(changes),
    )
