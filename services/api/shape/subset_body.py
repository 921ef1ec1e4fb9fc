"""The body of a subset snapshot (protocol section 1.7): rows of COPY in, JSON out, in memory or on disk.

The whole body is made before the first byte is sent. So an error of the last row is still an answer with a status,
and neither a connection nor a lock waits for a client that reads slowly; what does not fit in memory is in a file.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator

import orjson

from medley.contracts.row_key import RowKey
from medley.contracts.shapes import ShapeRecord
from medley.sql.copy_text import fields

_IN_MEMORY = 1024 * 1024
_LARGEST = 4 * 1024**3
_BLOCK = 256 * 1024


class TooLarge(Exception):
    """The body outgrows what one response may be."""


def metadata(snapshot: str, mark: int, lsn: int) -> bytes:
    """`snapshot` is the text of `pg_current_snapshot()`."""
    xmin, xmax, running = snapshot.split(":")
    return orjson.dumps(
        {
            "xmin": xmin,
            "xmax": xmax,
            "xip_list": running.split(",") if running else [],
            "snapshot_mark": mark,
            "database_lsn": str(lsn),
        }
    )


class SubsetBody:
    """Takes COPY's blocks one after the other, which end anywhere; `finish` closes the JSON."""

    def __init__(self, record: ShapeRecord, described: bytes, mark: int, largest: int = _LARGEST) -> None:
        definition = record.definition
        self._columns = tuple(column.name for column in record.columns)
        self._key = RowKey(definition.schema_name, definition.table, record.columns)
        headers = {
            "operation": "insert",
            "relation": [definition.schema_name, definition.table],
            "snapshot_mark": mark,
        }
        self._end = b',"headers":' + orjson.dumps(headers) + b"}"
        self._rest = b""
        self._rows = 0
        self._largest = largest
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - read after this returns
        self._file.write(b'{"metadata":' + described + b',"data":[')

    async def take(self, block: bytes) -> None:
        """In a thread: the loop goes on meanwhile. Raises TooLarge."""
        await asyncio.to_thread(self._take, block)

    def _take(self, block: bytes) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        if not lines:
            return
        entries = b",".join(map(self._entry, lines))
        self._file.write(b"," + entries if self._rows else entries)
        self._rows += len(lines)
        if self._file.tell() > self._largest:
            raise TooLarge

    def _entry(self, line: bytes) -> bytes:
        row = dict(zip(self._columns, fields(line.decode()), strict=True))
        return b'{"key":' + orjson.dumps(self._key.of(row)) + b',"value":' + orjson.dumps(row) + self._end

    def finish(self) -> int:
        """No row comes any more; the size of the whole body."""
        self._file.write(b"]}")
        size = self._file.tell()
        self._file.seek(0)
        return size

    async def blocks(self) -> AsyncGenerator[bytes]:
        """The body, at the pace of who reads it; closed with the generator."""
        try:
            while block := await asyncio.to_thread(self._file.read, _BLOCK):
                yield block
        finally:
            self._file.close()

    def discard(self) -> None:
        self._file.close()
