"""What whole transactions mean for shapes with subqueries: one snapshot of Postgres, and what is asked in it.

Invariants
  * a shape's entries of a transaction lead from what its clause is true for before it to what it is true for after it,
    whatever has been committed since;
  * nothing is given to a shape before every question about it was answered: whatever fails can be asked again.

The order: steps → whom they may concern → one snapshot → for each step in turn, verdicts on the rows that it changed
and a search for rows that moved → entries. When many transactions have piled up, or many changes came after them, some
together are one step: a reader sees them at once, under the last one's LSN.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg
import structlog

from services.sync.arrivals import Piled
from services.sync.entries import Entry, Rotate
from services.sync.live import Incoming
from services.sync.predicates.tier import Ended
from services.sync.related.family import Family
from services.sync.related.follower import Follower
from services.sync.related.followers import Concern, Followers, concern_of
from services.sync.related.reading import Altered, NotYet, Reading
from services.sync.related.step import Ask, Step, entries_of, shown

log = structlog.get_logger()

_STEPS = 16
"""That are taken one after the other; more transactions than that are put together."""
_APART = 64
"""Transactions that are taken one after the other when somebody wishes it."""
_QUESTIONS = 64
"""Steps times families of clauses: many different clauses make fewer steps."""
_TOGETHER = 2_000
"""Changes; so many are one step."""
_MOST = 1_000_000
"""Changes that are looked at together; a shape that would need more starts afresh."""
_SLOW = (asyncpg.QueryCanceledError, TimeoutError)
_BUDGETS = 3
"""Of one question, after which no more is tried to find out which clauses are slow."""

Later = Callable[[Collection[int]], list[Incoming]]
"""What came after some messages of these tables, as far as it has arrived. Raises Piled."""


class Fed(NamedTuple):
    """A shape's entries, in order; the last one ends a transaction."""

    follower: Follower
    entries: list[Entry]


@dataclass(slots=True)
class Outcome:
    fed: list[Fed] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


class Apart:
    """Somebody's wish that no two transactions are put together. It is kept while little has piled up."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept = True


class Feeding:
    """`reading` is needed once there are shapes."""

    def __init__(self, reading: Reading | None, followers: Followers) -> None:
        self._reading = reading
        self._followers = followers
        self._unsettled: set[int] = set()
        """Transactions that no snapshot has shown yet."""
        self.apart: set[Apart] = set()

    async def feed(
        self, messages: Sequence[Incoming], only: Collection[Follower] | None, later: Later, until: float | None = None
    ) -> Outcome:
        """What whole transactions mean for their followers, or for some. `later`: what came after them.

        When the questions fail, the shapes are asked about by halves: one that is to blame ends alone. At the time
        `until` (of the monotonic clock) those that are left are too slow. Raises NotYet.
        """
        transactions = _transactions(messages)
        size = self._size(transactions, len(self._concern(messages, only).families))
        steps = [self._concern(step, only) for step in _together(transactions, size)]
        families = {family for step in steps for family in step.families}
        if not families:
            return Outcome()
        reading = self._reading
        assert reading is not None
        until = until or time.monotonic() + _BUDGETS * reading.seconds
        self._unsettled.update(message.transaction.xid for message in messages)
        try:
            return await self._ask(reading, messages, steps, families, later)
        except NotYet:
            raise
        except Exception as error:
            if await reading.is_to_blame(error):
                raise
            followers = list(only) if only is not None else self._followers.of_families(families)
            late = isinstance(error, _SLOW) and time.monotonic() > until
            if len(followers) == 1 or isinstance(error, Piled) or late:
                return Outcome(ended=[_end(follower, error) for follower in followers])
        return await self._feed_halves(messages, followers, later, until)

    def _size(self, transactions: Sequence[Sequence[Incoming]], families: int) -> int:
        """How many transactions are one step."""
        if self.apart and len(transactions) <= _APART and _changes(transactions) < _TOGETHER:
            return 1
        size = _size(transactions, families)
        if size > 1 and len(transactions) > 1:
            self._put_together()
        return size

    def _put_together(self) -> None:
        for wish in self.apart:
            wish.kept = False

    def _concern(self, step: Sequence[Incoming], only: Collection[Follower] | None) -> Concern:
        return self._followers.concern(step) if only is None else concern_of(step, only)

    async def _feed_halves(
        self, messages: Sequence[Incoming], followers: Sequence[Follower], later: Later, until: float
    ) -> Outcome:
        middle = len(followers) // 2
        outcome = Outcome()
        for half in (followers[:middle], followers[middle:]):
            found = await self.feed(messages, half, later, until)
            outcome.fed += found.fed
            outcome.ended += found.ended
        return outcome

    async def _ask(
        self,
        reading: Reading,
        messages: Sequence[Incoming],
        steps: Sequence[Concern],
        families: Collection[Family],
        later: Later,
    ) -> Outcome:
        tables = {table for one in families for table in (one.own, *one.tables)}
        relations = {table.oid for table in tables}
        outcome = Outcome()
        over: set[Follower] = set()
        unsettled = set(self._unsettled)
        async with reading.snapshot(tables, unsettled) as (seen, ask):
            self._unsettled -= unsettled
            after = [message for message in later(relations) if seen.sees(message.transaction.xid)]
            behind = sum(len(message.changes) for message in after)
            if behind + sum(len(message.changes) for message in messages) > _MOST:
                raise Piled(f"more than {_MOST} changes of its tables have piled up")
            if behind >= _TOGETHER and len(steps) > 1:  # each step would undo all of that
                self._put_together()
                steps = [_one(steps)]
            done = 0
            for concern in steps:
                done += len(concern.step)
                rest = [*messages[done:], *after]
                followers = concern.followers | await self._probe(concern, rest, ask)
                for family, own, group in _groups(concern.step, followers - over):
                    found = await entries_of(Step(family, own, rest), group, ask)
                    for follower, entries in found.items():
                        if isinstance(entries, Rotate):
                            over.add(follower)
                            outcome.ended.append(Ended(follower.shape, str(entries), refused=False))
                        elif entries:
                            outcome.fed.append(Fed(follower, entries))
        return await self._unaltered(reading, outcome)

    async def _unaltered(self, reading: Reading, outcome: Outcome) -> Outcome:
        """Without what was found while something that a clause stands on was another one than it was made for."""
        named = {(one.kind, one.oid) for fed in outcome.fed for one in fed.follower.shape.stands_on}
        now = await reading.versions(sorted(named)) if named else {}
        altered = {
            fed.follower
            for fed in outcome.fed
            if any(now.get((one.kind, one.oid)) != one.version for one in fed.follower.shape.stands_on)
        }
        ended = [Ended(one.shape, "what its clause stands on was altered", refused=False) for one in altered]
        return Outcome([fed for fed in outcome.fed if fed.follower not in altered], outcome.ended + ended)

    async def _probe(self, concern: Concern, rest: Sequence[Incoming], ask: Ask) -> set[Follower]:
        """The shapes of probed families that the step's rows may be in: found by rows of the subquery's table."""
        found: set[Follower] = set()
        for family in concern.probed:
            try:
                found |= self._followers.found_by(family, await shown(Step(family, concern.step, rest), ask))
            except Rotate:
                found.update(self._followers.of_families([family]))
        return found


def _transactions(messages: Sequence[Incoming]) -> list[list[Incoming]]:
    """The messages of each."""
    transactions: list[list[Incoming]] = []
    for message in messages:
        if not transactions or transactions[-1][0].transaction != message.transaction:
            transactions.append([])
        transactions[-1].append(message)
    return transactions


def _changes(transactions: Sequence[Sequence[Incoming]]) -> int:
    return sum(len(message.changes) for messages in transactions for message in messages)


def _size(transactions: Sequence[Sequence[Incoming]], families: int) -> int:
    """How many transactions are one step: one, unless many have piled up."""
    if _changes(transactions) >= _TOGETHER:
        return max(1, len(transactions))
    steps = max(1, min(_STEPS, _QUESTIONS // max(1, families)))
    return max(1, -(-len(transactions) // steps))


def _together(transactions: Sequence[list[Incoming]], size: int) -> list[list[Incoming]]:
    starts = range(0, len(transactions), size)
    return [[message for one in transactions[start : start + size] for message in one] for start in starts]


def _one(steps: Sequence[Concern]) -> Concern:
    """All of them as one step."""
    messages = [message for concern in steps for message in concern.step]
    return Concern(
        messages,
        {follower for concern in steps for follower in concern.followers},
        {family for concern in steps for family in concern.probed},
    )


Group = tuple[Family, list[Incoming], list[Follower]]


def _groups(step: Sequence[Incoming], concerned: Collection[Follower]) -> list[Group]:
    """Followers of one family who lack the same messages of the step, and these."""
    theirs: dict[Family, list[Incoming]] = {}
    groups: dict[tuple[Family, int], list[Follower]] = defaultdict(list)
    for follower in concerned:
        family = follower.family
        if family not in theirs:
            relations = follower.relations()
            theirs[family] = [message for message in step if message.oid in relations]
        had = follower.had(theirs[family])
        if had < len(theirs[family]):
            groups[family, had].append(follower)
    return [(family, theirs[family][had:], group) for (family, had), group in groups.items()]


def _end(follower: Follower, error: Exception) -> Ended:
    shape = follower.shape
    if isinstance(error, _SLOW):
        return Ended(shape, "its subqueries take too long for the rows of a moment", refused=True, slow=True)
    if isinstance(error, asyncpg.DataError | asyncpg.RaiseError):
        return Ended(shape, error.message or str(error), refused=True)
    if not isinstance(error, asyncpg.PostgresError | Altered | Piled):
        log.error("a shape with subqueries ends by a fault", handle=shape.record.handle, error=repr(error))
    return Ended(shape, str(error) or repr(error), refused=False)
