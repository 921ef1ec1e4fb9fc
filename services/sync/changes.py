"""Turn decoded transactions into messages of CHANGES: one for each transaction and table run. Pure.

The split is a function of the transaction alone, so a transaction that is decoded again after a crash gives
the same messages with the same ids. That is what makes a repeat recognisable.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

import orjson

from medley.contracts import headers, subjects
from services.sync.pgoutput import Begin, Change, Commit, Delete, Insert, Relation, Truncate, Update


@dataclass(frozen=True, slots=True)
class Message:
    """One message of CHANGES. `ordinal` counts from 0 within the transaction."""

    subject: str
    payload: bytes
    lsn: int
    ordinal: int
    headers: dict[str, str]


def message_id(lsn: int, ordinal: int) -> str:
    """The deterministic id of a transaction's n-th message."""
    return f"{lsn}:{ordinal}"


def parse_message_id(text: str) -> tuple[int, int]:
    """(commit LSN, ordinal); these compare in the order of the stream."""
    lsn, ordinal = text.split(":")
    return int(lsn), int(ordinal)


class Assembler:
    """Takes the events of one transaction after another and returns the messages that are complete.

    A message is closed when the table changes or when it has `limit` bytes; the last one of a transaction is
    closed by its commit and says so.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begin: Begin | None = None
        self._relation: Relation | None = None
        self._changes: list[bytes] = []
        self._bytes = 0
        self._first = 0
        self._position = 0
        self._ordinal = 0

    @property
    def inside(self) -> bool:
        """Whether a transaction is open: its begin was seen and its commit was not."""
        return self._begin is not None

    def begin(self, event: Begin) -> None:
        self._begin = event
        self._relation = None
        self._position = self._first = self._ordinal = 0

    def change(self, event: Change) -> list[Message]:
        """Add one change; returns the messages that it closed."""
        if isinstance(event, Truncate):
            return [message for relation in event.relations for message in self._add(relation, {"op": "truncate"})]
        return self._add(event.relation, _as_json(event))

    def commit(self, event: Commit) -> list[Message]:
        """Close the transaction. A transaction without changes gives no message."""
        closed = self._close(last=True)
        self._begin = None
        return closed

    def _add(self, relation: Relation, change: dict[str, Any]) -> list[Message]:
        change["position"] = self._position
        encoded = orjson.dumps(change)
        closed: list[Message] = []
        if relation is not self._relation or self._bytes + len(encoded) > self._limit:
            closed = self._close(last=False)
            self._relation = relation
            self._first = self._position
        self._changes.append(encoded)
        self._bytes += len(encoded) + 1
        self._position += 1
        return closed

    def _close(self, *, last: bool) -> list[Message]:
        if not self._changes or self._begin is None or self._relation is None:
            return []
        begin, relation = self._begin, self._relation
        payload = _payload(begin, relation, self._changes)
        message = Message(
            subject=subjects.changes(relation.schema, relation.table),
            payload=payload,
            lsn=begin.lsn,
            ordinal=self._ordinal,
            headers={
                headers.MSG_ID: message_id(begin.lsn, self._ordinal),
                headers.LSN: str(begin.lsn),
                headers.XID: str(begin.xid),
                headers.POSITION: str(self._first),
                headers.LAST: "true" if last else "false",
            },
        )
        self._changes, self._bytes = [], 0
        self._ordinal += 1
        return [message]


def _as_json(event: Insert | Update | Delete) -> dict[str, Any]:
    match event:
        case Insert():
            return {"op": "insert", "position": 0, "new": event.new}
        case Update():
            return {"op": "update", "position": 0, "old": event.old, "new": event.new}
        case Delete():
            return {"op": "delete", "position": 0, "old": event.old}
        case _:
            assert_never(event)


def _payload(begin: Begin, relation: Relation, changes: list[bytes]) -> bytes:
    head = orjson.dumps(
        {
            "schema": relation.schema,
            "table": relation.table,
            "lsn": str(begin.lsn),
            "xid": begin.xid,
            "commit_time": datetime.fromtimestamp(begin.commit_time / 1e6, UTC),
            "oid": relation.oid,
            "columns": relation.columns,
        }
    )
    return head[:-1] + b',"changes":[' + b",".join(changes) + b"]}"
