"""Sessions that see one moment of the database, and the export of a shape's rows in one: for so many at once."""

import asyncio

import asyncpg
from nats.js import JetStreamContext

from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import ConfigurationError, Transient
from services.sync import snapshot
from services.sync.live import LiveShape
from services.sync.predicates.watch import unaltered
from services.sync.session import Session
from services.sync.settings import SyncSettings
from services.sync.table import Table

_SPARE = 4
"""Connections that are left: fan-out has two of its own, and sessions wait for it while they have one each."""


class Exports:
    def __init__(self, pool: asyncpg.Pool, js: JetStreamContext, settings: SyncSettings) -> None:
        self._pool = pool
        self._js = js
        self._at_once = asyncio.Semaphore(settings.exports)
        if (size := pool.get_max_size()) <= _SPARE:
            raise ConfigurationError(f"POSTGRES_POOL_SIZE is {size}, sync needs {_SPARE + 1} or more: set it higher")
        self._sessions = asyncio.Semaphore(size - _SPARE)

    async def session(self) -> Session:
        return await Session.open(self._pool, self._sessions)

    async def export(
        self, session: Session, shape: LiveShape, record: ShapeRecord, table: Table
    ) -> tuple[ShapeRecord, int]:
        """The rows into the stream; the record as it is then, and how many rows. Raises Refused, Transient.

        Those that share a session read one after the other, unless one takes long.
        """
        rows_of = snapshot.query(table, record)
        async with session.reading() as connection, self._at_once:
            rows, parts = await snapshot.export(connection, self._js, record, rows_of, shape.encoder)
        await parts.settle()
        if shape.stands_on and not await unaltered(self._pool, shape.stands_on):
            raise Transient("what its clause stands on was altered meanwhile")
        return record.model_copy(update={"state": "ready", "snapshot_bytes": parts.published}), rows
