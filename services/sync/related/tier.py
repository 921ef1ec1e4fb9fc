"""The shapes of one fan-out whose clauses have subqueries: who joins, who leaves, and the loop that feeds them.

Invariants
  * a shape is given whole transactions only, each once: what its log or its snapshot holds is left out;
  * a shape joins while nothing is being evaluated, once it has what the others have been given;
  * whatever is processed and not given yet holds the position back (`floor`); a shape is nobody's before it has
    everything up to there.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import structlog

from services.sync.arrivals import Arrivals
from services.sync.entries import Rotate
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.tier import Ended
from services.sync.related.feeding import Apart, Feeding, Outcome
from services.sync.related.follower import Follower
from services.sync.related.followers import Followers
from services.sync.related.reading import NotYet, Reading
from services.sync.table import Refused

log = structlog.get_logger()

_PATIENCE = 30.0
_PAUSE = 0.05
_MOST_BYTES = 32 * 1024 * 1024
"""Of messages that wait to be evaluated."""


class _Newcomer(NamedTuple):
    follower: Follower
    held: list[Incoming]
    joined: asyncio.Future[None]


class RelatedTier:
    """`reading` is needed once there are shapes."""

    def __init__(self, reading: Reading | None, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._followers = Followers()
        self._feeding = Feeding(reading, self._followers)
        self._waiting: list[Incoming] = []
        """Messages of the followers' tables that are processed and not evaluated."""
        self._under_way: list[Incoming] = []
        """Those that are being evaluated, or whose entries are not given yet."""
        self._size = 0
        """Bytes of both."""
        self._newcomers: deque[_Newcomer] = deque()
        self._ended_at = 0
        """Sequence of the last message of the transaction that ended last."""
        self._done = 0
        """What every follower has been given, by sequence."""
        self._wake = asyncio.Event()

    def follower(self, shape: LiveShape) -> Follower:
        return Follower(shape, self._followers.families)

    async def join(self, follower: Follower, held: list[Incoming]) -> None:
        """Take up a new shape; `held` is what came for it, and still comes. Returns once it has everything up to the
        position. Raises Refused, Rotate, NotYet."""
        joined = asyncio.get_running_loop().create_future()
        self._newcomers.append(_Newcomer(follower, held, joined))
        self._wake.set()
        await joined

    def add(self, follower: Follower, held: Sequence[Incoming] = ()) -> None:
        """`held`: messages of its tables, of which those that nobody has been given yet are its own, too."""
        self._followers.add(follower)
        known = {message.sequence for message in self._waiting}
        self._waiting += [one for one in held if one.sequence > follower.fed and one.sequence not in known]
        self._waiting.sort(key=lambda message: message.sequence)
        self._weigh()

    def remove(self, handle: str) -> None:
        self._followers.remove(handle)

    def take(self, incoming: Incoming) -> None:
        """A message was processed."""
        if self._followers.reads(incoming.oid):
            self._waiting.append(incoming)
            self._size += incoming.size
        if incoming.last:
            self._ended_at = incoming.sequence
            if self._waiting:
                self._wake.set()

    def overfull(self) -> list[Ended]:
        """Those that end, since more waits for them than memory is given to; nothing waits then."""
        if self._size <= _MOST_BYTES:
            return []
        waiting = [*self._under_way, *self._waiting]
        every = self._followers.of_tables({message.oid for message in waiting})
        late = [one for one in every if one.lacks(waiting)]
        for follower in late:
            self.remove(follower.shape.record.handle)
        self._waiting = []
        self._weigh()
        reason = f"more than {_MOST_BYTES >> 20} MiB of changes of its tables wait for its subqueries"
        return [Ended(one.shape, reason, refused=False) for one in late]

    def _weigh(self) -> None:
        self._size = sum(message.size for message in (*self._under_way, *self._waiting))

    def floor(self, sequence: int) -> int:
        """Up to where everything is evaluated, and given to its shapes, when so much is processed."""
        first = next(iter(self._under_way or self._waiting), None)
        return min(sequence, first.sequence - 1) if first is not None else sequence

    @contextmanager
    def apart(self) -> Iterator[Apart]:
        """No transaction that is processed meanwhile is put together with another, for as long as the wish is kept."""
        wish = Apart()
        self._feeding.apart.add(wish)
        try:
            yield wish
        finally:
            self._feeding.apart.remove(wish)

    async def run(self, give: Callable[[Outcome], None]) -> None:
        """Evaluate what has ended, again and again; ends only by raising. Beside fan-out's loop: a question that takes
        long keeps no other shapes waiting."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            joined = []
            while self._newcomers:
                newcomer = self._newcomers.popleft()
                if await self._take_up(newcomer, give):
                    joined.append(newcomer.joined)
            ended_at = self._ended_at
            self._under_way = [message for message in self._waiting if message.sequence <= ended_at]
            self._waiting = self._waiting[len(self._under_way) :]
            outcome = await self._patiently(self._under_way)
            self._under_way, self._done = [], ended_at
            self._weigh()
            give(outcome)
            for one in joined:
                if not one.done():
                    one.set_result(None)

    async def _take_up(self, newcomer: _Newcomer, give: Callable[[Outcome], None]) -> bool:
        """Give a new shape what the others have had; from then on it is one of them. What it lacks then may be older
        than the position, which nothing has held back for it: it has joined once it has that, too. Whether it will."""
        follower, held, joined = newcomer
        had = [message for message in held if message.sequence <= self._done]
        try:
            outcome = await self._feeding.feed(had, [follower], partial(self._after, held, self._done))
        except NotYet as error:
            if not joined.done():
                joined.set_exception(error)
            return False
        if joined.done():
            return False  # nobody waits for it any more
        for _, reason, refused, _ in outcome.ended:
            joined.set_exception(Refused("where", reason) if refused else Rotate(reason))
            return False
        give(outcome)
        follower.fed = self._done
        self.add(follower, held)
        return True

    def _after(self, held: Sequence[Incoming], sequence: int, relations: Collection[int]) -> list[Incoming]:
        later = (one for one in held if one.sequence > sequence and one.oid in relations)
        return [*later, *self._arrivals.ahead(relations)]

    async def _patiently(self, messages: Sequence[Incoming]) -> Outcome:
        """While a table is locked, or a commit not visible yet, they are tried again; not for ever."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return await self._feeding.feed(messages, None, self._later)
            except NotYet as error:
                if time.monotonic() > until:
                    log.warning("shapes with subqueries end", reason=str(error))
                    every = self._followers.of_tables({message.oid for message in messages})
                    return Outcome(ended=[Ended(one.shape, str(error), refused=False) for one in every])
            await asyncio.sleep(_PAUSE)

    def _later(self, relations: Collection[int]) -> list[Incoming]:
        return [*(one for one in self._waiting if one.oid in relations), *self._arrivals.ahead(relations)]
