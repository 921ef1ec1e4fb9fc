"""One open shape as fan-out holds it, and one message of CHANGES as it reads it. Pure but for the log's appends."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import orjson
from nats.js import JetStreamContext

from medley.contracts.shapes import ClauseObject, ClauseTable, Continued, ShapeRecord, Tier
from medley.sql.visibility import Snapshot
from services.sync.entries import Entry, Rotate, Transaction
from services.sync.handover import Arrived
from services.sync.kept import Kept
from services.sync.predicates.alternatives import Index
from services.sync.predicates.index import index
from services.sync.predicates.template import template
from services.sync.predicates.units import Unit
from services.sync.predicates.verdicts import Evaluated, Verdicts
from services.sync.shape_log import Pending, ShapeLog
from services.sync.taken import Taken
from services.sync.where import NOTHING, AnyOf, Where, compile_alternatives, compile_conditions


class Incoming(NamedTuple):
    """A message of CHANGES, parsed."""

    sequence: int
    transaction: Transaction
    last: bool
    oid: int
    columns: list[list[Any]]
    """[name, type OID, modifier] of every column at that moment."""
    changes: list[dict[str, Any]]
    size: int = 0
    """Bytes of the message."""


def parse(arrived: Arrived) -> Incoming:
    body = orjson.loads(arrived.data)
    return Incoming(
        sequence=arrived.sequence,
        transaction=Transaction(int(body["lsn"]), body["xid"]),
        last=arrived.last,
        oid=body["oid"],
        columns=body["columns"],
        changes=body["changes"],
        size=len(arrived.data),
    )


def _where(record: Kept, found: Index | None) -> "Where | AnyOf | Evaluated[LiveShape] | None":
    """Who decides about a row; nobody, when every one belongs to the shape."""
    if record.conditions is not None:
        return compile_conditions(record.conditions)
    predicate = record.common.record.predicate
    if predicate is None or predicate.constant:
        return None
    if predicate.constant is False:
        return NOTHING
    if found is not None and found.exact:
        return compile_alternatives(found.alternatives)
    return Evaluated(record.handle)


class LiveShape:
    """A shape that changes are appended to."""

    __slots__ = ("_kept", "_taken", "_unit", "candidates", "encoder", "log", "pending", "torn", "where")

    def __init__(self, js: JetStreamContext, record: ShapeRecord) -> None:
        self._kept = Kept(record)
        predicate = record.predicate
        found = None
        if predicate is not None and not record.conditions and not predicate.tables:
            found = index(predicate.sql, predicate.columns)
        self.where = _where(self._kept, found)
        self.candidates = compile_alternatives(found.alternatives) if found is not None and not found.exact else None
        """What must hold for a row that is in the shape; None when nothing is known of that."""
        self.encoder = self._kept.encoder(self.where)
        self._unit: Unit | None = None
        if isinstance(self.where, Evaluated) and record.predicate is not None and not record.predicate.tables:
            self._unit = Unit(*template(record.predicate.sql), record.predicate.columns)
        self._taken = Taken() if record.late_key else None
        self.pending = Pending()
        self.torn = False
        """Its log ends inside a transaction: the end of that is still to come."""
        self.log = ShapeLog(js, record.handle)

    @property
    def record(self) -> Kept:
        return self._kept

    @record.setter
    def record(self, record: ShapeRecord) -> None:
        self._kept = Kept(record)

    @property
    def snapshot(self) -> Snapshot:
        return self._kept.snapshot

    @property
    def relation(self) -> int:
        return self._kept.relation_oid

    @property
    def table(self) -> str:
        return self._kept.common.table

    @property
    def tier(self) -> Tier:
        """Who decides about a change, as its record says."""
        return self._kept.tier

    @property
    def unit(self) -> Unit:
        """Its clause, as Postgres is asked about it."""
        assert self._unit is not None
        return self._unit

    @property
    def reads(self) -> tuple[ClauseTable, ...]:
        """The tables that its subqueries read."""
        return self._kept.common.tables

    @property
    def relations(self) -> set[int]:
        """Its table's OID, and those of the tables that are read."""
        return self._kept.common.relations

    @property
    def stands_on(self) -> tuple[ClauseObject, ...]:
        """What the clause must find unaltered in the catalogue."""
        return self._kept.common.objects

    def answered_by(self, verdicts: Verdicts["LiveShape"]) -> None:
        """From now on, its clause looks there."""
        assert isinstance(self.where, Evaluated)
        self.where.verdicts = verdicts

    async def recover(self, continued: Continued | None) -> None:
        """Go on where the log ends; what it holds already is recognised by its offset. `continued`: by the last
        generation, if there is a later one than the first."""
        self.pending = Pending(await self.log.recover())
        self.log.before = continued.size if continued is not None else 0
        self.torn = not self.log.whole

    def fits(self, oid: int, columns: list[list[Any]]) -> bool:
        """Whether the table still is what the shape was made for."""
        return self._kept.common.fits(oid, columns)

    def admits(self, incoming: Incoming) -> bool:
        """Whether the message's transaction belongs into the log at all. Raises Rotate when the table changed."""
        if self.snapshot.sees(incoming.transaction.xid):
            return False
        if not self.fits(incoming.oid, incoming.columns):
            raise Rotate("its table has other columns now")
        return True

    def take_in(self, changes: Sequence[dict[str, Any]], transaction: Transaction) -> bool:
        """Queue what changes mean for the shape. Returns whether they meant anything. Raises Rotate."""
        entries = self.encoder.entries(changes, transaction)
        self.check(entries)
        return self.pending.add(entries)

    def check(self, entries: Collection[Entry]) -> None:
        """Whether they can go into the log. Raises Rotate."""
        if self._taken is not None:
            self._taken.check(entries)
        largest = self.log.largest
        if max([len(entry.body) for entry in entries], default=0) > largest:
            raise Rotate(f"a row of it is larger than a message ({largest} bytes)")
