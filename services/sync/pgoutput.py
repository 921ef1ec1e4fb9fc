"""Decode pgoutput, protocol version 1: bytes of one message in, one event out. Pure.

Source of the formats: PostgreSQL documentation, "Logical Replication Message Formats".
Values are text exactly as Postgres's output functions wrote it, or None for NULL.
"""

from dataclasses import dataclass
from struct import Struct

Row = dict[str, str | None]

_BEGIN = Struct("!QqI")
_COMMIT = Struct("!BQQq")
_U32 = Struct("!I")
_U16 = Struct("!H")
_COLUMN = Struct("!Ii")

_NULL, _TEXT, _UNCHANGED = ord("n"), ord("t"), ord("u")
_KEY, _OLD = ord("K"), ord("O")

POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 in µs since 1970


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as the stream describes it: again after each change of it, and once a session."""

    oid: int
    schema: str
    table: str
    columns: tuple[tuple[str, int, int], ...]
    """(name, type OID, type modifier)"""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Begin:
    lsn: int
    """The transaction's commit LSN."""
    commit_time: int
    """Microseconds since 1970, UTC."""
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    lsn: int
    end_lsn: int


@dataclass(frozen=True, slots=True)
class Insert:
    relation: Relation
    new: Row


@dataclass(frozen=True, slots=True)
class Update:
    relation: Relation
    old: Row | None
    """The whole old row under REPLICA IDENTITY FULL; None when the table's identity gives nothing."""
    new: Row
    """An unchanged out-of-line value is taken from `old`; absent when `old` has none."""


@dataclass(frozen=True, slots=True)
class Delete:
    relation: Relation
    old: Row | None
    """The whole old row under REPLICA IDENTITY FULL; None when the table's identity gives its key only."""


@dataclass(frozen=True, slots=True)
class Truncate:
    relations: tuple[Relation, ...]


Change = Insert | Update | Delete | Truncate
Event = Begin | Commit | Change | Relation


class Decoder:
    """Remembers the relations that the stream has described; otherwise a function of its input."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}

    def decode(self, message: bytes) -> Event | None:
        """None for messages that carry no event (origin, type, logical message).

        Raises ValueError on a message that the protocol does not know.
        """
        match message[0]:
            case 0x49:  # I
                relation = self._relations[_U32.unpack_from(message, 1)[0]]
                return Insert(relation, _tuple(message, 6, relation, None)[0])
            case 0x55:  # U
                return self._update(message)
            case 0x44:  # D
                relation = self._relations[_U32.unpack_from(message, 1)[0]]
                old = _tuple(message, 6, relation, None)[0] if message[5] == _OLD else None
                return Delete(relation, old)
            case 0x42:  # B
                lsn, time, xid = _BEGIN.unpack_from(message, 1)
                return Begin(lsn, time + POSTGRES_EPOCH, xid)
            case 0x43:  # C
                _, lsn, end_lsn, _ = _COMMIT.unpack_from(message, 1)
                return Commit(lsn, end_lsn)
            case 0x52:  # R
                return self._relation(message)
            case 0x54:  # T
                return self._truncate(message)
            case 0x4F | 0x59 | 0x4D:  # O, Y, M
                return None
            case other:
                raise ValueError(f"unknown pgoutput message {chr(other)!r}")

    def _update(self, message: bytes) -> Update:
        relation = self._relations[_U32.unpack_from(message, 1)[0]]
        place = 5
        old: Row | None = None
        kind = message[place]
        if kind in (_KEY, _OLD):
            old, place = _tuple(message, place + 1, relation, None)
            if kind == _KEY:
                old = None
        return Update(relation, old, _tuple(message, place + 1, relation, old)[0])

    def _relation(self, message: bytes) -> Relation:
        oid = _U32.unpack_from(message, 1)[0]
        schema, place = _string(message, 5)
        table, place = _string(message, place)
        count = _U16.unpack_from(message, place + 1)[0]  # the byte between is the replica identity
        place += 3
        columns = []
        for _ in range(count):
            name, place = _string(message, place + 1)  # the byte before is the key flag
            type_oid, modifier = _COLUMN.unpack_from(message, place)
            columns.append((name, type_oid, modifier))
            place += 8
        relation = Relation(oid, schema or "pg_catalog", table, tuple(columns))
        self._relations[oid] = relation
        return relation

    def _truncate(self, message: bytes) -> Truncate:
        count = _U32.unpack_from(message, 1)[0]
        oids = (_U32.unpack_from(message, 6 + 4 * index)[0] for index in range(count))
        return Truncate(tuple(self._relations[oid] for oid in oids))


def _string(message: bytes, place: int) -> tuple[str, int]:
    end = message.index(0, place)
    return message[place:end].decode(), end + 1


def _tuple(message: bytes, place: int, relation: Relation, old: Row | None) -> tuple[Row, int]:
    """TupleData from `place`; returns the row and the place after it."""
    row: Row = {}
    place += 2  # the count of columns is the relation's
    for name, _, _ in relation.columns:
        kind = message[place]
        place += 1
        if kind == _TEXT:
            start = place + 4
            place = start + _U32.unpack_from(message, place)[0]
            row[name] = str(message[start:place], "utf-8")
        elif kind == _NULL:
            row[name] = None
        elif kind == _UNCHANGED:
            if old is not None and name in old:
                row[name] = old[name]
        else:
            raise ValueError(f"unexpected kind {chr(kind)!r} of column {name}")
    return row, place
