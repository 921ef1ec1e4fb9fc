"""Changes of one table as JSON, written straight from what Postgres sent. Pure.

Most values are written in JSON as they are: a row of such is put into a template. Any other is written value by value,
which takes some times as long.
"""

import orjson

from services.sync.pgoutput import UNKNOWN, Delete, Insert, Relation, Update, Values

_ESCAPED = bytes(range(0x20)) + b'"\\'  # as orjson escapes; RFC 8259, section 7


class Changes:
    """Of one relation. `position` is written as a number; a value that is UNKNOWN has no member in its row."""

    __slots__ = ("_insert", "_names", "_row")

    def __init__(self, relation: Relation) -> None:
        self._names = [orjson.dumps(name) + b":" for name in relation.names]
        members = b",".join(name.replace(b"%", b"%%") + b'"%b"' for name in self._names)
        self._row = b"{%b}" % members
        self._insert = b'{"op":"insert","position":%%d,"new":{%b}}' % members

    def of(self, change: Insert | Update | Delete, position: int) -> bytes:
        """Raises UnicodeDecodeError where values are not UTF-8."""
        match change:
            case Insert(_, new):
                if _as_they_are(new):
                    return self._insert % (position, *new)
                return b'{"op":"insert","position":%d,"new":%b}' % (position, self._valued(new))
            case Update(_, old, new):
                return b'{"op":"update","position":%d,"old":%b,"new":%b}' % (position, self.row(old), self.row(new))
            case Delete(_, old):
                return b'{"op":"delete","position":%d,"old":%b}' % (position, self.row(old))

    def row(self, values: Values | None) -> bytes:
        if values is None:
            return b"null"
        return self._row % tuple(values) if _as_they_are(values) else self._valued(values)

    def _valued(self, values: Values) -> bytes:
        named = zip(self._names, values, strict=True)
        return b"{%b}" % b",".join([name + _value(value) for name, value in named if value != UNKNOWN])


def _as_they_are(values: Values) -> bool:
    """Whether all are texts that JSON writes in the same way."""
    if None in values:
        return False
    text = b"".join(values)  # type: ignore[arg-type] # no None among them
    if not text.isascii():
        text.decode()
    return len(text.translate(None, _ESCAPED)) == len(text)


def _value(value: bytes | None) -> bytes:
    return b"null" if value is None else orjson.dumps(value.decode())
