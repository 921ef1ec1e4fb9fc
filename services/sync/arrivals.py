"""What has arrived of CHANGES and is not processed yet, in order; and who waits for more to arrive."""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Collection

from nats.aio.msg import Msg

from services.sync.live import Incoming, parse
from services.sync.progress import Mark

_ROUND_MESSAGES = 256  # taken in before they are appended and the position moves: a backlog is worked off visibly
_ROUND_BYTES = 8 * 1024 * 1024
_AHEAD_BYTES = 64 * 1024 * 1024
_MOST_BYTES = 32 * 1024 * 1024
"""Of messages that wait; then no more are asked for."""
_OID = re.compile(rb'"oid":(\d+),"columns":')  # cannot stand inside of a name: its quotes would be escaped


class Piled(Exception):
    """More of some tables has arrived than may be looked at ahead of its turn."""


class _Waiting:
    """A message and, once somebody looked at it, what it says."""

    __slots__ = ("incoming", "message", "oid")

    def __init__(self, message: Msg) -> None:
        found = _OID.search(message.data)
        assert found is not None
        self.message = message
        self.oid = int(found[1])
        self.incoming: Incoming | None = None

    def parsed(self) -> Incoming:
        if self.incoming is None:
            self.incoming = parse(self.message)
        return self.incoming


class Arrivals:
    """Single-threaded. `taken` are the messages of the round, which its loop takes from the left."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.taken: deque[Incoming] = deque()
        self.newest = 0
        """Sequence of the newest message that has arrived."""
        self._waiting: deque[_Waiting] = deque()
        self._of: dict[int, deque[_Waiting]] = defaultdict(deque)
        self._bytes: dict[int, int] = defaultdict(int)
        self._size = 0
        self._room = asyncio.Event()
        self._mark = Mark(0, 0)
        self._until: list[tuple[int, asyncio.Future[None]]] = []

    def __bool__(self) -> bool:
        """Whether there is more than the round."""
        return bool(self._waiting)

    def begin(self, sequence: int) -> None:
        """What comes next is after this one."""
        self.newest = sequence

    async def receive(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        if sequence <= self.newest:
            return  # the consumer started again
        self.newest = sequence
        waiting = _Waiting(message)
        self._size += len(message.data)
        self._waiting.append(waiting)
        self._of[waiting.oid].append(waiting)
        self._bytes[waiting.oid] += len(message.data)
        self.wake.set()
        self._release()

    @property
    def waiting_bytes(self) -> int:
        return self._size

    def lag(self, now: float) -> float:
        """Seconds since the oldest message that is not processed came into the stream. `now`: of the wall clock."""
        if self._waiting:
            return max(0.0, now - self._waiting[0].message.metadata.timestamp.timestamp())
        return 0.0

    async def room(self) -> None:
        """Wait until not too much waits."""
        while self._size > _MOST_BYTES:
            self._room.clear()
            await self._room.wait()

    def marked(self, mark: Mark) -> None:
        """Capture's word on how far CHANGES goes."""
        self._mark = mark
        self.wake.set()
        self._release()

    async def until(self, lsn: int) -> None:
        """Return once every published change that was committed below the LSN has arrived."""
        waiter = asyncio.get_running_loop().create_future()
        self._until.append((lsn, waiter))
        self._release()
        await waiter

    def take(self) -> None:
        """Begin a round: so many messages, or so many bytes."""
        size = 0
        while self._waiting and len(self.taken) < _ROUND_MESSAGES and size < _ROUND_BYTES:
            waiting = self._waiting.popleft()
            of_table = self._of[waiting.oid]
            of_table.popleft()
            if not of_table:
                del self._of[waiting.oid]
            self.taken.append(waiting.parsed())
            size += len(waiting.message.data)
            self._bytes[waiting.oid] -= len(waiting.message.data)
        self._size -= size
        self._room.set()

    def ahead(self, relations: Collection[int]) -> list[Incoming]:
        """All of these tables that is not processed yet. Raises Piled."""
        if sum(self._bytes.get(relation, 0) for relation in relations) > _AHEAD_BYTES:
            raise Piled(f"more than {_AHEAD_BYTES >> 20} MiB of changes of its tables have piled up")
        later = [one.parsed() for relation in relations for one in self._of.get(relation, ())]
        later.sort(key=lambda incoming: incoming.sequence)
        return [*(one for one in self.taken if one.oid in relations), *later]

    def _release(self) -> None:
        if self._until and self.newest >= self._mark.sequence:
            for lsn, waiter in self._until:
                if lsn <= self._mark.lsn and not waiter.done():
                    waiter.set_result(None)
            self._until = [(lsn, waiter) for lsn, waiter in self._until if not waiter.done()]
