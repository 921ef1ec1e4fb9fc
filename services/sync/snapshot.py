"""Export a shape's rows as they stood in one snapshot, into `shapes.<handle>.snapshot`.

COPY in text form gives what the output functions wrote, which is also what the replication stream sends: snapshot
and log are byte-identical by construction. Rows pass through in blocks; memory does not grow with the table.
"""

import asyncpg
import orjson
from nats.js import JetStreamContext

from medley.contracts.shapes import ShapeRecord
from medley.runtime import copying
from medley.sql.copy_text import fields
from medley.sql.quoting import quote_identifier
from medley.sql.visibility import Snapshot
from services.sync.entries import Encoder
from services.sync.parts import Cutter, Publisher
from services.sync.shape_log import largest_entry
from services.sync.table import Refused, Table


def query(table: Table, record: ShapeRecord) -> str:
    """A clause sees the table's columns that the replication stream holds, under the table's name."""
    columns = ", ".join(quote_identifier(column.name) for column in record.columns)
    if record.predicate is None:
        return f"SELECT {columns} FROM {table.sql}"
    every = ", ".join(quote_identifier(facts.column.name) for facts in table.columns)
    rows = f"(SELECT {every} FROM {table.sql}) AS {quote_identifier(table.name)}"
    return f"SELECT {columns} FROM {rows} WHERE {record.predicate.sql}"


async def export(
    connection: asyncpg.pool.PoolConnectionProxy,
    js: JetStreamContext,
    record: ShapeRecord,
    rows_of: str,
    encoder: Encoder,
) -> tuple[int, Publisher]:
    """Write every part, the last one with the `snapshot-end` message; returns how many rows these are, and who waits
    for what is not acked yet.

    Raises Refused when a row does not fit into a message.

    `connection` is in the REPEATABLE READ transaction whose snapshot the record names.
    """
    cutter, publisher = Cutter(record.chunk_bytes), Publisher(js, record.handle)
    largest = largest_entry(js)
    rows = 0
    if record.definition.log == "full":
        async for lines in copying.lines(connection, rows_of):
            for line in lines:
                entry = encoder.snapshot_entry(fields(line))
                if len(entry) > largest:
                    raise Refused(
                        "table", f"a row of {len(entry)} bytes does not fit into a message of the bus ({largest} bytes)"
                    )
                for part in cutter.row(entry):
                    await publisher.publish(part)
            rows += len(lines)
    await publisher.publish(cutter.end(_snapshot_end(Snapshot(*record.snapshot))))
    return rows, publisher


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
