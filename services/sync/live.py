"""One open shape as fan-out holds it, and one message of CHANGES as it reads it. Pure but for the log's appends."""

from typing import Any, NamedTuple

import orjson
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from medley.contracts import headers
from medley.contracts.shapes import ShapeRecord
from services.sync.entries import Encoder, Rotate, Transaction
from services.sync.shape_log import Pending, ShapeLog
from services.sync.visibility import Snapshot
from services.sync.where import compile_conditions


class Incoming(NamedTuple):
    """A message of CHANGES, parsed."""

    sequence: int
    transaction: Transaction
    last: bool
    oid: int
    columns: list[list[Any]]
    """[name, type OID, modifier] of every column at that moment."""
    changes: list[dict[str, Any]]


def parse(message: Msg) -> Incoming:
    body = orjson.loads(message.data)
    return Incoming(
        sequence=message.metadata.sequence.stream,
        transaction=Transaction(int(body["lsn"]), body["xid"]),
        last=(message.headers or {}).get(headers.LAST) == "true",
        oid=body["oid"],
        columns=body["columns"],
        changes=body["changes"],
    )


class LiveShape:
    """A shape that changes are appended to."""

    def __init__(self, js: JetStreamContext, record: ShapeRecord) -> None:
        self.record = record
        self.where = compile_conditions(record.conditions) if record.conditions is not None else None
        self.encoder = Encoder(record, self.where)
        self.snapshot = Snapshot(*record.snapshot)
        self.pending = Pending()
        self.log = ShapeLog(js, record.handle)

    @property
    def relation(self) -> int:
        return self.record.relation_oid

    @property
    def table(self) -> str:
        return f"{self.record.definition.schema_name}.{self.record.definition.table}"

    async def recover(self) -> None:
        """Go on where the log ends; what it holds already is recognised by its offset."""
        self.pending = Pending(await self.log.recover())

    def fits(self, oid: int, columns: list[list[Any]]) -> bool:
        """Whether the table still is what the shape was made for: same table, and the columns that it shows."""
        if oid != self.record.relation_oid:
            return False
        mine = [[column.name, column.type_oid, column.modifier] for column in self.record.columns]
        if self.record.definition.columns is None:
            return mine == columns
        return all(column in columns for column in mine)

    def admits(self, incoming: Incoming) -> bool:
        """Whether the message's transaction belongs into the log at all. Raises Rotate when the table changed."""
        if self.snapshot.sees(incoming.transaction.xid):
            return False
        if not self.fits(incoming.oid, incoming.columns):
            raise Rotate("its table has other columns now")
        return True

    def take_in(self, change: dict[str, Any], transaction: Transaction) -> bool:
        """Queue what the change means for the shape. Returns whether it meant anything. Raises Rotate."""
        entries = self.encoder.entries(change, transaction)
        if any(len(entry.body) > self.log.largest for entry in entries):
            raise Rotate(f"a row of it is larger than a message ({self.log.largest} bytes)")
        return self.pending.add(entries)
