"""What has arrived of CHANGES and is not processed yet, in order; and who waits for more to arrive."""

import asyncio
from collections import deque
from itertools import chain

from nats.aio.msg import Msg

from services.sync.live import Incoming, parse
from services.sync.progress import Mark

_ROUND_MESSAGES = 256  # taken in before they are appended and the position moves: a backlog is worked off visibly
_ROUND_BYTES = 8 * 1024 * 1024


class Arrivals:
    """Single-threaded. `taken` are the messages of the round, which its loop takes from the left."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.taken: deque[Incoming] = deque()
        self._arrived: deque[Msg] = deque()
        self._parsed: dict[int, Incoming] = {}
        """By place in `_arrived`, of those that somebody looked ahead at; counted from the first message ever."""
        self._first = 0
        self.newest = 0
        """Sequence of the newest message that has arrived."""
        self._mark = Mark(0, 0)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def __bool__(self) -> bool:
        """Whether there is more than the round."""
        return bool(self._arrived)

    def begin(self, sequence: int) -> None:
        """What comes next is after this one."""
        self.newest = sequence

    async def receive(self, message: Msg) -> None:
        self._arrived.append(message)
        self.newest = max(self.newest, message.metadata.sequence.stream)
        self.wake.set()
        self._release()

    def marked(self, mark: Mark) -> None:
        """Capture's word on how far CHANGES goes."""
        self._mark = mark
        self.wake.set()
        self._release()

    async def until(self, lsn: int) -> None:
        """Return once every published change that was committed below the LSN has arrived."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((lsn, waiter))
        self._release()
        await waiter

    def take(self) -> None:
        """Begin a round: so many messages, or so many bytes."""
        size = 0
        while self._arrived and len(self.taken) < _ROUND_MESSAGES and size < _ROUND_BYTES:
            message = self._arrived.popleft()
            parsed = self._parsed.pop(self._first) if self._first in self._parsed else parse(message)
            self.taken.append(parsed)
            self._first += 1
            size += len(message.data)

    def ahead(self) -> list[Incoming]:
        """All that is not processed yet."""
        for place, message in enumerate(self._arrived, self._first):
            if place not in self._parsed:
                self._parsed[place] = parse(message)
        arrived = (self._parsed[self._first + number] for number in range(len(self._arrived)))
        return list(chain(self.taken, arrived))

    def _release(self) -> None:
        if self._waiting and self.newest >= self._mark.sequence:
            for lsn, waiter in self._waiting:
                if lsn <= self._mark.lsn and not waiter.done():
                    waiter.set_result(None)
            self._waiting = [(lsn, waiter) for lsn, waiter in self._waiting if not waiter.done()]
