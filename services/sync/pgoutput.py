"""Decode pgoutput, protocol version 1: bytes of one message in, one event out. Pure.

Source of the formats: PostgreSQL documentation, "Logical Replication Message Formats".
Values are bytes exactly as Postgres's output functions wrote them: whoever writes them on needs no text.
"""

from struct import Struct
from typing import NamedTuple

Values = list[bytes | None]
"""Of a row, in the order of the relation's columns; None for NULL, UNKNOWN for what was not sent."""

UNKNOWN = b"\0"
"""An unchanged out-of-line value. No value is that: Postgres has no NUL in texts."""

_BEGIN = Struct("!QqI")
_COMMIT = Struct("!BQQq")
_U32 = Struct("!I")
_U16 = Struct("!H")
_COLUMN = Struct("!Ii")
_VALUE = Struct("!BI")
_AFTER = b"\0\0\0\0"  # so that a value without a length can be read like one that has one

_NULL, _TEXT, _UNCHANGED = ord("n"), ord("t"), ord("u")
_KEY, _OLD = ord("K"), ord("O")

POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 in µs since 1970


class Relation(NamedTuple):
    """A table as the stream describes it: again after each change of it, and once a session."""

    oid: int
    schema: str
    table: str
    columns: tuple[tuple[str, int, int], ...]
    """(name, type OID, type modifier)"""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _, _ in self.columns)


class Begin(NamedTuple):
    lsn: int
    """The transaction's commit LSN."""
    commit_time: int
    """Microseconds since 1970, UTC."""
    xid: int


class Commit(NamedTuple):
    lsn: int
    end_lsn: int


class Insert(NamedTuple):
    relation: Relation
    new: Values


class Update(NamedTuple):
    relation: Relation
    old: Values | None
    """The whole old row under REPLICA IDENTITY FULL; None when the table's identity gives nothing."""
    new: Values
    """An unchanged out-of-line value is taken from `old`; UNKNOWN when there is none."""


class Delete(NamedTuple):
    relation: Relation
    old: Values | None
    """The whole old row under REPLICA IDENTITY FULL; None when the table's identity gives its key only."""


class Truncate(NamedTuple):
    relations: tuple[Relation, ...]


Change = Insert | Update | Delete | Truncate
Event = Begin | Commit | Change | Relation


class Decoder:
    """Remembers the relations that the stream has described; otherwise a function of its input."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}

    def decode(self, message: bytes, place: int = 0) -> Event | None:
        """The event that begins at `place`. None for messages that carry none (origin, type, logical message).

        Raises ValueError on a message that the protocol does not know.
        """
        match message[place]:
            case 0x49:  # I
                return Insert(self._described(message, place), _values(message, place + 6))
            case 0x55:  # U
                return self._update(message, place)
            case 0x44:  # D
                old = _values(message, place + 6) if message[place + 5] == _OLD else None
                return Delete(self._described(message, place), old)
            case 0x42:  # B
                lsn, time, xid = _BEGIN.unpack_from(message, place + 1)
                return Begin(lsn, time + POSTGRES_EPOCH, xid)
            case 0x43:  # C
                _, lsn, end_lsn, _ = _COMMIT.unpack_from(message, place + 1)
                return Commit(lsn, end_lsn)
            case 0x52:  # R
                return self._relation(message, place)
            case 0x54:  # T
                return self._truncate(message, place)
            case 0x4F | 0x59 | 0x4D:  # O, Y, M
                return None
            case other:
                raise ValueError(f"unknown pgoutput message {chr(other)!r}")

    def _described(self, message: bytes, place: int) -> Relation:
        return self._relations[_U32.unpack_from(message, place + 1)[0]]

    def _update(self, message: bytes, place: int) -> Update:
        relation = self._described(message, place)
        place += 5
        old: Values | None = None
        kind = message[place]
        if kind in (_KEY, _OLD):
            old = _values(message, place + 1)
            place = _end(old, place + 1)
            if kind == _KEY:
                old = None
        new = _values(message, place + 1)
        if old is not None and UNKNOWN in new:
            new = [was if now == UNKNOWN else now for was, now in zip(old, new, strict=True)]
        return Update(relation, old, new)

    def _relation(self, message: bytes, place: int) -> Relation:
        oid = _U32.unpack_from(message, place + 1)[0]
        schema, place = _string(message, place + 5)
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

    def _truncate(self, message: bytes, place: int) -> Truncate:
        count = _U32.unpack_from(message, place + 1)[0]
        oids = (_U32.unpack_from(message, place + 6 + 4 * index)[0] for index in range(count))
        return Truncate(tuple(self._relations[oid] for oid in oids))


def _string(message: bytes, place: int) -> tuple[str, int]:
    end = message.index(0, place)
    return message[place:end].decode(), end + 1


def _values(message: bytes, place: int) -> Values:
    """TupleData from `place`."""
    values: Values = []
    add = values.append
    padded, read = message + _AFTER, _VALUE.unpack_from
    count = message[place] << 8 | message[place + 1]
    place += 2
    for _ in range(count):
        kind, size = read(padded, place)
        place += 1
        if kind == _TEXT:
            start = place + 4
            place = start + size
            add(message[start:place])
        elif kind == _NULL:
            add(None)
        elif kind == _UNCHANGED:
            add(UNKNOWN)
        else:
            raise ValueError(f"unexpected kind {chr(kind)!r} of a value")
    return values


def _end(values: Values, place: int) -> int:
    """The place after a TupleData of these values."""
    return place + 2 + sum(1 if value is None or value == UNKNOWN else 5 + len(value) for value in values)
