"""Rows of a snapshot: what COPY writes, as the protocol's JSON (protocol section 1.5). Pure.

Most text is written in JSON as COPY writes it. Lines of such text are put into a template as they are; any other line
is read and written field by field, which takes several times as long.
"""

from collections.abc import Iterator

import orjson

from medley.contracts.shapes import ShapeRecord
from medley.sql.copy_text import fields
from services.sync.entries import Encoder

# COPY separates by tab and newline, and writes these, where they are data, with a backslash.
_ESCAPED = bytes(set(range(0x20)) - set(b"\t\n")) + b'"'


class Rows:
    """Of one shape. `encoder` is the shape's."""

    def __init__(self, record: ShapeRecord, encoder: Encoder) -> None:
        self._encoder = encoder
        names = [column.name for column in record.columns]
        self._key = [names.index(name) for name in encoder.row_key.primary]
        self._template = _template(record, encoder)

    def entries(self, block: bytes) -> list[bytes]:
        """`block`: whole lines, without the last one's end."""
        if not self._key:
            return [self._parsed(line) for line in block.split(b"\n")]
        quoted = _quoted(block)
        if quoted is not None:
            return self._filled(quoted)
        return [entry for line in block.split(b"\n") for entry in self._entry(line)]

    def _entry(self, line: bytes) -> Iterator[bytes]:
        quoted = _quoted(line)
        yield from self._filled(quoted) if quoted is not None else (self._parsed(line),)

    def _parsed(self, line: bytes) -> bytes:
        return self._encoder.snapshot_entry(fields(line.decode()))

    def _filled(self, quoted: bytes) -> list[bytes]:
        """Of lines whose values are JSON."""
        template, places = self._template, self._key
        rows = [line.split(b"\t") for line in quoted.split(b"\n")]
        if b"/" in quoted:
            return [template % (*[row[place][1:-1].replace(b"/", b"//") for place in places], *row) for row in rows]
        if len(places) == 1:
            (place,) = places
            return [template % (row[place][1:-1], *row) for row in rows]
        return [template % (*[row[place][1:-1] for place in places], *row) for row in rows]


def _template(record: ShapeRecord, encoder: Encoder) -> bytes:
    """A row's JSON, `%b` for what each key column's value is in the key, and then for each value."""
    key = orjson.dumps(encoder.row_key.prefix)[:-1].replace(b"%", b"%%")
    for _ in encoder.row_key.primary:
        key += rb"/\"%b\""
    values = [orjson.dumps(column.name).replace(b"%", b"%%") + b":%b" for column in record.columns]
    headers = orjson.dumps(encoder.snapshot_headers).replace(b"%", b"%%")
    return b'{"key":%b","value":{%b},"headers":%b}' % (key, b",".join(values), headers)


def _quoted(block: bytes) -> bytes | None:
    """The lines with each value as JSON; None when one of them is written otherwise there."""
    if len(block.translate(None, _ESCAPED)) != len(block):
        return None
    quoted = b'"%b"' % block.replace(b"\t", b'"\t"').replace(b"\n", b'"\n"')
    backslashes = block.count(b"\\")
    if not backslashes:
        return quoted
    return quoted.replace(b'"\\N"', b"null") if backslashes == quoted.count(b'"\\N"') else None
