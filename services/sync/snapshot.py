"""Export a shape's rows as they stood in one snapshot, into `shapes.<handle>.snapshot`.

COPY in text form gives what the output functions wrote, which is also what the replication stream sends: snapshot
and log are byte-identical by construction. Rows pass through in blocks; memory does not grow with the table.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import orjson
from nats.js import JetStreamContext

from medley.contracts import headers, subjects
from medley.contracts.shapes import ShapeRecord
from services.sync.entries import Encoder
from services.sync.shape_log import largest_entry
from services.sync.table import Refused, Table, quote_identifier
from services.sync.visibility import Snapshot
from services.sync.where import Equality

PART_BYTES = 256 * 1024
_DEADLINE = 24 * 3600.0
_WINDOW = 16  # parts on their way to JetStream at once

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def fields(line: str) -> list[str | None]:
    """One row of COPY's text format (PostgreSQL documentation, "COPY", File Formats).

    >>> fields("1\\ta\\\\tb\\t\\\\N")
    ['1', 'a\\tb', None]
    """
    values = line.split("\t")
    if "\\" not in line:
        return list(values)
    return [None if value == "\\N" else _unescape(value) for value in values]


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    first, *rest = value.split("\\")
    pieces = [first]
    escaped = iter(rest)
    for piece in escaped:
        if piece:
            pieces.append(_ESCAPES.get(piece[0], piece[0]) + piece[1:])
        else:
            pieces.append("\\" + next(escaped, ""))
    return "".join(pieces)


def query(table: Table, record: ShapeRecord, equalities: list[Equality]) -> str:
    columns = ", ".join(quote_identifier(column.name) for column in record.columns)
    where = " AND ".join(equality.sql for equality in equalities)
    return f"SELECT {columns} FROM {table.sql}" + (f" WHERE {where}" if where else "")


async def _lines(connection: asyncpg.pool.PoolConnectionProxy, statement: str) -> AsyncIterator[list[str]]:
    """COPY's rows, as many as have arrived; the server is held back while the reader is busy."""
    blocks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)

    async def copy() -> None:
        try:
            await connection.copy_from_query(statement, output=blocks.put, format="text", timeout=_DEADLINE)
        except Exception:
            await blocks.put(None)
            raise
        await blocks.put(None)

    task = asyncio.create_task(copy())
    try:
        rest = b""
        while (block := await blocks.get()) is not None:
            *lines, rest = (rest + block).split(b"\n")
            if lines:
                yield [str(line, "utf-8") for line in lines]
        await task
    finally:
        task.cancel()


async def export(
    connection: asyncpg.pool.PoolConnectionProxy,
    js: JetStreamContext,
    record: ShapeRecord,
    rows_of: str,
    encoder: Encoder,
) -> int:
    """Write every part, the last one with the `snapshot-end` message; returns the number of rows.

    Raises Refused when a row does not fit into a message.

    `connection` is in the REPEATABLE READ transaction whose snapshot the record names.
    """
    writer = _Writer(js, record.handle)
    rows = 0
    if record.definition.log == "full":
        async for lines in _lines(connection, rows_of):
            for line in lines:
                await writer.add(encoder.snapshot_entry(fields(line)))
            rows += len(lines)
    await writer.finish(_snapshot_end(Snapshot(*record.snapshot)))
    return rows


def _snapshot_end(snapshot: Snapshot) -> bytes:
    return orjson.dumps(
        {
            "headers": {
                "control": "snapshot-end",
                "xmin": str(snapshot.xmin),
                "xmax": str(snapshot.xmax),
                "xip_list": [str(xid) for xid in snapshot.xip],
            }
        }
    )


class _Writer:
    """Fills parts and publishes them in order, a window at a time."""

    def __init__(self, js: JetStreamContext, handle: str) -> None:
        self._js = js
        self._subject = subjects.shape_snapshot(handle)
        self._largest = largest_entry(js)
        self._entries: list[bytes] = []
        self._bytes = 0
        self._part = 0
        self._acks: list[asyncio.Future[object]] = []

    async def add(self, entry: bytes) -> None:
        if len(entry) > self._largest:
            raise Refused(
                "table", f"a row of {len(entry)} bytes does not fit into a message of the bus ({self._largest} bytes)"
            )
        if self._entries and self._bytes + len(entry) > PART_BYTES:
            await self._flush(final=False)
        self._entries.append(entry)
        self._bytes += len(entry) + 1

    async def finish(self, entry: bytes) -> None:
        self._entries.append(entry)
        await self._flush(final=True)
        await asyncio.gather(*self._acks)

    async def _flush(self, *, final: bool) -> None:
        payload = b"[" + b",".join(self._entries) + b"]"
        part = {headers.PART: str(self._part), headers.FINAL: "true" if final else "false"}
        self._acks.append(await self._js.publish_async(self._subject, payload, headers=part))  # type: ignore[arg-type]
        self._entries, self._bytes = [], 0
        self._part += 1
        if len(self._acks) >= _WINDOW:
            await asyncio.gather(*self._acks)
            self._acks = []
