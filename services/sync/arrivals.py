"""What has arrived of CHANGES and is not processed yet, in order; and who waits for more to arrive.

It comes from the stream, and from the capture of this process (`handover`), which is earlier. What comes early stays
aside until it is the next one: fan-out that was behind catches up from the stream first. The stream is not asked while
capture gives everything, and again once something is lacking.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Collection

from nats.aio.msg import Msg

from medley.contracts import headers
from medley.runtime.errors import Transient
from services.sync.handover import Arrived
from services.sync.live import Incoming, parse
from services.sync.progress import Mark

_ROUND_MESSAGES = 256  # taken in before they are appended and the position moves: a backlog is worked off visibly
_ROUND_BYTES = 8 * 1024 * 1024
_AHEAD_BYTES = 64 * 1024 * 1024
_MOST_BYTES = 32 * 1024 * 1024
"""Of messages that wait; then no more are asked for."""
_EARLY = 64
"""Messages that stay aside; of more, the oldest are left to the stream."""
_OID = re.compile(rb'"oid":(\d+),"columns":')  # cannot stand inside of a name: its quotes would be escaped


_SURE = 64
"""Copies of what was given already, one after the other; then the stream is not needed."""


class Piled(Exception):
    """More of some tables has arrived than may be looked at ahead of its turn."""


class Withdrawn(Transient):
    """Messages that were given by capture are perhaps not in CHANGES; it must be read again."""


class _Waiting:
    """A message and, once somebody looked at it, what it says."""

    __slots__ = ("arrived", "incoming", "oid")

    def __init__(self, arrived: Arrived) -> None:
        found = _OID.search(arrived.data)
        assert found is not None
        self.arrived = arrived
        self.oid = int(found[1])
        self.incoming: Incoming | None = None

    def parsed(self) -> Incoming:
        if self.incoming is None:
            self.incoming = parse(self.arrived)
        return self.incoming


class Arrivals:
    """Single-threaded. `taken` are the messages of the round, which its loop takes from the left."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.taken: deque[Incoming] = deque()
        self.newest = 0
        """Sequence of the newest message that has arrived."""
        self._streamed = 0
        """Of the newest that came from the stream."""
        self._acked = 0
        """Up to which what capture gave is in the stream."""
        self._early: deque[Arrived] = deque(maxlen=_EARLY)
        """In order, none of them the next one."""
        self._withdrawn = asyncio.Event()
        self._copies = 0
        self._lacking = asyncio.Event()
        self._lacking.set()
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
        self.newest = self._streamed = sequence

    async def receive(self, message: Msg) -> None:
        """From the stream."""
        told = message.metadata
        sequence = told.sequence.stream
        if sequence <= self.newest:
            self._copies += 1
            if self._copies == _SURE:
                self._lacking.clear()
            return
        self._lacks()
        last = (message.headers or {}).get(headers.LAST) == "true"
        self._streamed = sequence
        self._enter(Arrived(sequence, message.data, last, told.timestamp.timestamp()))
        self._take_early()

    def given(self, arrived: Arrived) -> None:
        """By capture."""
        self._early.append(arrived)
        self._take_early()
        if self._early:
            self._lacks()

    def stored(self, sequence: int) -> None:
        """What was given is in the stream, up to here."""
        self._acked = sequence

    @property
    def safe(self) -> int:
        """Sequence up to which what has arrived is in the stream."""
        return max(self._streamed, min(self.newest, self._acked))

    def withdrawn(self) -> None:
        """Something that was given may be missing in the stream."""
        self._early.clear()
        self._lacks()
        if self.newest > self.safe:
            self._withdrawn.set()

    @property
    def fed(self) -> bool:
        """Whether everything comes without the stream."""
        return not self._lacking.is_set()

    async def lacking(self) -> None:
        """Return once it does not."""
        await self._lacking.wait()

    async def lost(self) -> None:
        """Ends only by raising Withdrawn: something that was taken was withdrawn."""
        await self._withdrawn.wait()
        raise Withdrawn("capture ended before CHANGES had all that it gave")

    def _lacks(self) -> None:
        self._copies = 0
        self._lacking.set()

    def _take_early(self) -> None:
        early = self._early
        while early and early[0].sequence <= self.newest + 1 and self._size <= _MOST_BYTES:
            arrived = early.popleft()
            if arrived.sequence > self.newest:
                self._enter(arrived)

    def _enter(self, arrived: Arrived) -> None:
        self.newest = arrived.sequence
        waiting = _Waiting(arrived)
        self._size += len(arrived.data)
        self._waiting.append(waiting)
        self._of[waiting.oid].append(waiting)
        self._bytes[waiting.oid] += len(arrived.data)
        self.wake.set()
        self._release()

    @property
    def waiting_bytes(self) -> int:
        return self._size

    def lag(self, now: float) -> float:
        """Seconds since the oldest message that is not processed came into the stream. `now`: of the wall clock."""
        if self._waiting:
            return max(0.0, now - self._waiting[0].arrived.at)
        return 0.0

    async def room(self) -> None:
        """Wait until not too much waits."""
        while self._size > _MOST_BYTES:
            self._room.clear()
            await self._room.wait()

    def marked(self, mark: Mark) -> None:
        """Capture's word on how far CHANGES goes."""
        self._mark = mark
        if mark.sequence > self.newest:
            self._lacks()
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
            size += len(waiting.arrived.data)
            self._bytes[waiting.oid] -= len(waiting.arrived.data)
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
