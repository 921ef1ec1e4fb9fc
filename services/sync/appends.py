"""Shapes with entries that are not appended yet, and the appends of a round."""

import asyncio
from collections.abc import Container

from services.sync.entries import Entry
from services.sync.live import LiveShape
from services.sync.registry import Registry

_FLUSH_BYTES = 1024 * 1024  # a shape's waiting entries are appended at this size, also inside a transaction


class Appends:
    """`wake` is set when there is something to append."""

    def __init__(self, registry: Registry, wake: asyncio.Event) -> None:
        self._registry = registry
        self._wake = wake
        self.touched: dict[str, LiveShape] = {}
        """Those with entries of the transaction that has not ended."""
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
        appends = []
        for shape in self._dirty.values():
            whole, begun = shape.pending.take()
            if (whole or begun) and shape.record.handle in shapes:
                appends.append(shape.log.append(whole, begun))
        self._dirty = dict(self.touched)
        if len(appends) == 1:
            await appends[0]
        elif appends:
            async with asyncio.TaskGroup() as group:
                for append in appends:
                    group.create_task(append)
        leaving, self._leaving = self._leaving, []
        for shape in leaving:
            await self._registry.forget(shape.record.handle)
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
