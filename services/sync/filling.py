"""The first rows of shapes that are made together, from the snapshot that they begin with."""

import asyncio
import time
from collections.abc import Sequence

import asyncpg
import structlog

from medley.runtime.postgres import GONE
from services.sync.exporting import Exports
from services.sync.fanout import Fanout
from services.sync.live import LiveShape
from services.sync.session import Session
from services.sync.table import Refused, Table

log = structlog.get_logger()


class Filling:
    def __init__(self, fanout: Fanout, exports: Exports) -> None:
        self._fanout = fanout
        self._exports = exports
        self._tasks: set[asyncio.Task[None]] = set()

    def fill(self, session: Session, table: Table, shapes: Sequence[LiveShape], revisions: Sequence[int]) -> None:
        """In the background; the session is given back after it."""
        task = asyncio.create_task(self._fill(session, table, shapes, revisions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _fill(
        self, session: Session, table: Table, shapes: Sequence[LiveShape], revisions: Sequence[int]
    ) -> None:
        try:
            await asyncio.gather(*map(self._export, [session] * len(shapes), [table] * len(shapes), shapes, revisions))
        finally:
            await session.close()

    async def _export(self, session: Session, table: Table, shape: LiveShape, revision: int) -> None:
        """The rows into the stream, then the record says so; unless the shape was dropped meanwhile."""
        started = time.monotonic()
        record = shape.record.whole()
        try:
            ready, rows = await self._exports.export(session, shape, record, table)
            if record.handle not in self._fanout.shapes:
                return await self._fanout.registry.forget(record.handle)
            await self._fanout.registry.complete(ready, revision)
            shape.record = ready
            seconds = round(time.monotonic() - started, 3)
            tier = record.predicate.tier if record.predicate is not None else "whole"
            log.info("shape opened", handle=record.handle, table=shape.table, rows=rows, seconds=seconds, tier=tier)
        except Exception as error:
            log.warning("snapshot failed", handle=record.handle, table=shape.table, error=str(error) or repr(error))
            if (errors := _refusal(error, shape)) is not None:
                self._fanout.refusals.add(record.definition, errors)
            await self._fanout.drop(shape, "its snapshot failed")
        return None


def _refusal(error: Exception, shape: LiveShape) -> dict[str, list[str]] | None:
    """What the next who ask for such a shape are told; None when it may be tried again at once."""
    if isinstance(error, Refused):
        return error.errors
    if shape.record.predicate is None or isinstance(error, GONE) or not isinstance(error, asyncpg.PostgresError):
        return None
    return {"where": [error.message or str(error)]}
