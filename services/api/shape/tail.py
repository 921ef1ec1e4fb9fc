"""The end of one shape's log, in memory: where it is, its newest pieces, and who waits for the next. No I/O.

Readers see the log up to `end`, the last piece that ends a transaction. Pieces chain by their offsets; one that does
not continue the chain empties the tail, and the reader goes to the stream.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from medley.contracts.offsets import SNAPSHOT_END, Offset
from services.api.shape.store import Piece

_AT_ONCE = 64
"""Waiters that are called before others have their turn."""


class Gone(Exception):
    """The shape is no longer there, or no longer reaches back to the offset."""


class Tail:
    def __init__(self) -> None:
        self.loaded = False
        self.gone = False
        self.end: Offset = SNAPSHOT_END
        self.end_sequence = 0
        self._tip: Offset = SNAPSHOT_END
        self._pieces: deque[Piece] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._calls: dict[object, Callable[[], None]] = {}

    def load(self, last: Piece | None) -> None:
        """Learn the log's end from the stream, unless the tail knows a later one."""
        if last is not None and last.sequence > self.end_sequence and last.last and last.offset > self.end:
            self._advance(last)
            self._tip = max(self._tip, last.offset)
        self.loaded = last is None or last.last or self.loaded

    def append(self, piece: Piece) -> int:
        """Take in a piece as it arrives; returns by how many bytes memory grew (0: it was known)."""
        if piece.offset <= self._tip:
            return 0
        freed = 0
        if self._pieces and piece.after != self._tip:
            freed = sum(len(old.payload) for old in self._pieces)
            self._pieces.clear()
        self._pieces.append(piece)
        self._tip = piece.offset
        if piece.last:
            self._advance(piece)
            self.loaded = True
        return len(piece.payload) - freed

    def _advance(self, piece: Piece) -> None:
        self.end, self.end_sequence = piece.offset, piece.sequence
        self.release()

    def forget_oldest(self) -> int:
        """Give back the memory of one piece; returns its bytes."""
        return len(self._pieces.popleft().payload) if self._pieces else 0

    def since(self, offset: Offset) -> list[Piece] | None:
        """The visible pieces after `offset`; None when memory does not reach back to it."""
        if not self._pieces or self._pieces[0].after > offset:
            return None
        return [piece for piece in self._pieces if offset < piece.offset <= self.end]

    def leave(self) -> None:
        """The shape is gone: everyone who waits is told at once."""
        self.gone = True
        self.release()

    def release(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
        if self._calls:
            calls, self._calls = self._calls, {}
            _call(calls, iter(list(calls)))

    def call(self, who: object, back: Callable[[], None]) -> Callable[[], None]:
        """Call back once, soon after the next change of the tail; what is returned takes the wish back."""
        calls = self._calls
        calls[who] = back

        def take_back() -> None:
            calls.pop(who, None)

        return take_back

    def waiter(self) -> asyncio.Future[None]:
        """Done at the next change of the tail. Who no longer waits for it says so with `forget`."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        return waiter

    def forget(self, waiter: asyncio.Future[None]) -> None:
        self._waiting.discard(waiter)


def _call(calls: dict[object, Callable[[], None]], order: Iterator[object]) -> None:
    """Some now, and the others when everything else had its turn. Who takes the wish back meanwhile is left out."""
    some = list(islice(order, _AT_ONCE))
    for who in some:
        back = calls.pop(who, None)
        if back is not None:
            back()
    if some:
        asyncio.get_running_loop().call_soon(_call, calls, order)
