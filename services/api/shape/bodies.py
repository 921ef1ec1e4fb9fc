"""Bodies are built once: for all who ask meanwhile, and for those who ask again, within a bound of bytes.

A body is kept under everything that it is made of, so that none is ever out of date: the oldest simply goes.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

V = TypeVar("V")
_LARGEST_SHARE = 4  # nothing larger than this part of the bound is kept


class Bodies(Generic[V]):
    """The values used last, `most` bytes of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[tuple[object, ...], tuple[V, int]] = OrderedDict()
        self.size = 0

    def get(self, *key: object) -> V | None:
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def keep(self, value: V, size: int, *key: object) -> None:
        """Remember a value of `size` bytes, unless it is so large that it would push out everything else."""
        if size > self._most // _LARGEST_SHARE or key in self._held:
            return
        self._held[key] = (value, size)
        self.size += size
        while self.size > self._most:
            _, (_, freed) = self._held.popitem(last=False)
            self.size -= freed


class Builds:
    """What is being built now, by what it is: whoever asks for the same waits for the same."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[object, ...], asyncio.Task[Any]] = {}

    async def once(self, make: Callable[[], Coroutine[Any, Any, V]], *key: object) -> V:
        """What `make` gives, or raises. It goes on when one of those who wait leaves."""
        task: asyncio.Task[V] | None = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(make())
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)
