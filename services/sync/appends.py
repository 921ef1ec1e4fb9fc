"""Shapes with entries that are not appended yet, and the appends of a round."""

import asyncio
from collections.abc import Awaitable, Callable, Container

from services.sync.entries import Entry
from services.sync.live import LiveShape

_FLUSH_BYTES = 1024 * 1024  # a shape's waiting entries are appended at this size, also inside a transaction


class Appends:
    """`forget`: the records and messages of a shape; `wake` is set when there is something to append."""

    def __init__(self, forget: Callable[[LiveShape], Awaitable[None]], wake: asyncio.Event) -> None:
        self._forget = forget
        self._wake = wake
        self.touched: dict[str, LiveShape] = {}
        """Those with entries of the transaction that has not ended."""
        self.outgrown: dict[str, LiveShape] = {}
        """Those whose log has become larger than what a snapshot would take."""
        self.log_bytes = 0
        """A log that is smaller has not."""
        self._dirty: dict[str, LiveShape] = {}
        self._leaving: list[LiveShape] = []
        self._waiting: list[asyncio.Future[None]] = []

    def touch(self, shape: LiveShape) -> None:
        """It was given entries of a transaction that has not ended."""
        self.touched[shape.record.handle] = shape
        self._dirty[shape.record.handle] = shape

    def add(self, shape: LiveShape) -> None:
        """It was given entries of transactions that have ended."""
        self._dirty[shape.record.handle] = shape
        self._wake.set()

    def give(self, shape: LiveShape, entries: list[Entry]) -> None:
        """Whole transactions of a shape that is there: the entries of any other would be thrown away."""
        shape.pending.give(entries)
        self._dirty[shape.record.handle] = shape

    def transaction_ended(self) -> None:
        for shape in self.touched.values():
            shape.pending.transaction_ends()
        self.touched.clear()

    def leave(self, shape: LiveShape) -> None:
        """Its record goes once what was given to it before is appended."""
        self.touched.pop(shape.record.handle, None)
        self._leaving.append(shape)

    def weigh(self, shape: LiveShape) -> None:
        if shape.log.grown > max(self.log_bytes, shape.record.snapshot_bytes):
            self.outgrown[shape.record.handle] = shape

    def full(self) -> bool:
        """Whether some shape's entries should not wait for the end of the round."""
        return any(shape.pending.size > _FLUSH_BYTES for shape in self._dirty.values())

    async def flushed(self) -> None:
        """Wait until what shapes were given by now is appended and acked, but for a transaction that has not ended."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wake.set()
        await waiter

    async def flush(self, shapes: Container[str]) -> None:
        """Append to those of them that are still there, by handle."""
        waiting, self._waiting = self._waiting, []
        appends, appended = [], []
        for shape in self._dirty.values():
            whole, begun = shape.pending.take()
            if (whole or begun) and shape.record.handle in shapes:
                appends.append(shape.log.append(whole, begun))
                appended.append(shape)
        self._dirty = dict(self.touched)
        if len(appends) == 1:
            await appends[0]
        elif appends:
            async with asyncio.TaskGroup() as group:
                for append in appends:
                    group.create_task(append)
        for shape in appended:
            self.weigh(shape)
        leaving, self._leaving = self._leaving, []
        for shape in leaving:
            await self._forget(shape)
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
