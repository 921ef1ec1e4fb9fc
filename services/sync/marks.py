"""Capture's word on how far CHANGES goes, for every worker: at once in this process, and by `sync.mark` for others."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from medley.contracts.shapes import CaptureMark

Listener = Callable[[CaptureMark], None]


class Marks:
    """Of one process. `moved` is set when there is something to say to others."""

    def __init__(self) -> None:
        self.newest: CaptureMark | None = None
        self.moved = asyncio.Event()
        self._listeners: list[Listener] = []
        self._any = asyncio.Event()

    def tell(self, mark: CaptureMark) -> None:
        """Capture is in this process."""
        self.heard(mark)
        self.moved.set()

    def heard(self, mark: CaptureMark) -> None:
        self.newest = mark
        self._any.set()
        for listener in self._listeners:
            listener(mark)

    @contextmanager
    def told_to(self, listener: Listener) -> Iterator[None]:
        """Call it for each mark, and first with the newest there is."""
        if self.newest is not None:
            listener(self.newest)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def some(self, within: float) -> None:
        """Wait until somebody captures; not for ever, since what was captured can be fanned out without."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._any.wait()
