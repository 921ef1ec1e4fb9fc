"""The shapes of one fan-out whose clauses have subqueries, and what transactions mean for them.

Invariants
  * a shape's entries of a transaction lead from what its clause is true for before it to what it is true for after it,
    whatever has been committed since;
  * a shape is given whole transactions only, each once: what its log or its snapshot holds is left out.

The order: collect the messages of their tables → when transactions have ended, one snapshot of Postgres → for each
transaction in turn, verdicts on the rows that it changed and a search for rows that moved → entries. When many
transactions have piled up, some together are one step: a reader sees them at once, under the last one's LSN.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

import asyncpg
import structlog

from services.sync.arrivals import Arrivals, Piled
from services.sync.entries import Entry, Rotate
from services.sync.live import Incoming
from services.sync.predicates.tier import Ended
from services.sync.related.family import Families, Family
from services.sync.related.follower import Candidate, Follower
from services.sync.related.reading import Altered, NotYet, Reading
from services.sync.related.step import Ask, Step, entries_of, shown
from services.sync.router import Router

log = structlog.get_logger()

_STEPS = 16
"""That are taken one after the other; more transactions than that are put together."""
_TOGETHER = 2_000
"""Changes; so many are one step."""
_MOST = 1_000_000
"""Changes that are looked at together; a shape that would need more starts afresh."""

_SLOW = (asyncpg.QueryCanceledError, TimeoutError)
_BUDGETS = 3
"""Of one question, after which no more is tried to find out which clauses are slow."""
_PATIENCE = 30.0
_PAUSE = 0.05

Later = Callable[[Collection[int]], list[Incoming]]
"""What came after some messages of these tables, as far as it has arrived. Raises Piled."""


class Fed(NamedTuple):
    """A shape's entries, in order; the last one ends a transaction."""

    follower: Follower
    entries: list[Entry]


class _Newcomer(NamedTuple):
    follower: Follower
    held: list[Incoming]
    joined: asyncio.Future[list[Ended]]


@dataclass(slots=True)
class Outcome:
    fed: list[Fed] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


class RelatedTier:
    """`reading` is needed for shapes."""

    def __init__(self, reading: Reading | None, arrivals: Arrivals) -> None:
        self._reading = reading
        self._arrivals = arrivals
        self.families = Families()
        self._candidates: dict[str, tuple[Follower, list[tuple[int, Candidate]]]] = {}
        self._router: Router[Candidate] = Router()
        self._of: dict[int, dict[Follower, None]] = defaultdict(dict)
        """Of a table, those that it concerns."""
        self._probed: dict[int, Counter[Family]] = defaultdict(Counter)
        """Of a table, the families whose shapes are found by rows of another one, and how many shapes they have."""
        self._waiting: list[Incoming] = []
        """Messages of the followers' tables that are processed and not evaluated."""
        self._under_way: list[Incoming] = []
        """Those that are being evaluated, or whose entries are not given yet."""
        self._newcomers: deque[_Newcomer] = deque()
        self._ended_at = 0
        """Sequence of the last message of the transaction that ended last."""
        self._done = 0
        """What every follower has been given, by sequence."""
        self._wake = asyncio.Event()
        self._unsettled: set[int] = set()
        """Transactions that no snapshot has shown yet."""

    async def join(self, follower: Follower, held: list[Incoming]) -> list[Ended]:
        """Take up a new shape; `held` is what came for it, and still comes. Returns once it has all that the others
        have, or why it cannot go on. Raises NotYet."""
        joined = asyncio.get_running_loop().create_future()
        self._newcomers.append(_Newcomer(follower, held, joined))
        self._wake.set()
        ended: list[Ended] = await joined
        return ended

    def add(self, follower: Follower, held: Sequence[Incoming] = ()) -> None:
        """`held`: messages of its tables, of which those that nobody has been given yet are its own, too."""
        outer, candidates = follower.outer(), list(follower.inner())
        follower.probed = outer.where is None and follower.family.probe is not None
        if follower.probed:
            self._probed[follower.family.own.oid][follower.family] += 1
        else:
            candidates.append((follower.family.own.oid, outer))
        self._candidates[follower.shape.record.handle] = (follower, candidates)
        for relation, candidate in candidates:
            self._router.add(relation, candidate)
        for relation in follower.relations():
            self._of[relation][follower] = None
        known = {message.sequence for message in self._waiting}
        self._waiting += [one for one in held if one.sequence > follower.fed and one.sequence not in known]
        self._waiting.sort(key=lambda message: message.sequence)

    def remove(self, handle: str) -> None:
        if handle not in self._candidates:
            return
        follower, candidates = self._candidates.pop(handle)
        for relation, candidate in candidates:
            self._router.remove(relation, candidate)
        for relation in follower.relations():
            del self._of[relation][follower]
            if not self._of[relation]:
                del self._of[relation]
        if follower.probed:
            families = self._probed[follower.family.own.oid]
            families[follower.family] -= 1
            self._probed[follower.family.own.oid] = +families

    def take(self, incoming: Incoming) -> None:
        """A message was processed."""
        if incoming.oid in self._of:
            self._waiting.append(incoming)
        if incoming.last:
            self._ended_at = incoming.sequence
            if self._waiting:
                self._wake.set()

    def floor(self, sequence: int) -> int:
        """Up to where everything is evaluated, and given to its shapes, when so much is processed."""
        first = next(iter(self._under_way or self._waiting), None)
        return min(sequence, first.sequence - 1) if first is not None else sequence

    async def run(self, give: Callable[[Outcome], None]) -> None:
        """Evaluate what has ended, again and again; ends only by raising. Beside fan-out's loop: a question that takes
        long keeps no other shapes waiting."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._newcomers:
                await self._take_up(self._newcomers.popleft(), give)
            ended_at = self._ended_at
            self._under_way = [message for message in self._waiting if message.sequence <= ended_at]
            self._waiting = self._waiting[len(self._under_way) :]
            outcome = await self._patiently(self._under_way)
            self._under_way, self._done = [], ended_at
            give(outcome)

    async def _take_up(self, newcomer: "_Newcomer", give: Callable[[Outcome], None]) -> None:
        """Give a new shape what the others have had; from then on it is one of them."""
        follower, held, joined = newcomer
        had = [message for message in held if message.sequence <= self._done]
        try:
            outcome = await self.feed(had, [follower], partial(self._after, held, self._done))
        except NotYet as error:
            if not joined.done():
                joined.set_exception(error)
            return
        if joined.done():
            return  # nobody waits for it any more
        if not outcome.ended:
            give(outcome)
            follower.fed = self._done
            self.add(follower, held)
        joined.set_result(outcome.ended)

    def _after(self, held: Sequence[Incoming], sequence: int, relations: Collection[int]) -> list[Incoming]:
        later = (one for one in held if one.sequence > sequence and one.oid in relations)
        return [*later, *self._arrivals.ahead(relations)]

    async def _patiently(self, messages: Sequence[Incoming]) -> Outcome:
        """While a table is locked, or a commit not visible yet, they are tried again; not for ever."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return await self.feed(messages, None, self._later)
            except NotYet as error:
                if time.monotonic() > until:
                    log.warning("shapes with subqueries end", reason=str(error))
                    relations = {message.oid for message in messages}
                    every = [one for one, _ in self._candidates.values() if relations & one.relations()]
                    return Outcome(ended=[Ended(one.shape, str(error), refused=False) for one in every])
            await asyncio.sleep(_PAUSE)

    def _later(self, relations: Collection[int]) -> list[Incoming]:
        return [*(one for one in self._waiting if one.oid in relations), *self._arrivals.ahead(relations)]

    async def feed(
        self, messages: Sequence[Incoming], only: Collection[Follower] | None, later: Later, until: float | None = None
    ) -> Outcome:
        """What whole transactions mean for their followers, or for some. `later`: what came after them.

        When the questions fail, the shapes are asked about by halves: one that is to blame ends alone. At the time
        `until` (of the monotonic clock) those that are left are too slow. Raises NotYet.
        """
        steps = [self._concern(step, only) for step in _steps(messages)]
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
            followers = list(only) if only is not None else self._members(families)
            late = isinstance(error, _SLOW) and time.monotonic() > until
            if len(followers) == 1 or isinstance(error, Piled) or late:
                return Outcome(ended=[_end(follower, error) for follower in followers])
        return await self._feed_halves(messages, followers, later, until)

    def _members(self, families: Collection[Family]) -> list[Follower]:
        return [follower for follower, _ in self._candidates.values() if follower.family in families]

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

    def _concern(self, step: list[Incoming], only: Collection[Follower] | None) -> "_Concern":
        """Whom a step may concern, as far as its own rows tell. Too many is never wrong."""
        if only is not None:
            relations = {message.oid for message in step}
            return _Concern(step, {one for one in only if relations & one.relations()}, set())
        concern = _Concern(step, set(), set())
        for message in step:
            for change in message.changes:
                old, new = change.get("old"), change.get("new")
                if change["op"] in ("insert", "update", "delete"):
                    found = self._router.concerned(message.oid, old, new)
                    concern.followers.update(candidate.follower for candidate in found)
                else:
                    concern.followers.update(self._of.get(message.oid, ()))
            concern.probed.update(self._probed.get(message.oid, ()))
        return concern

    async def _ask(
        self,
        reading: Reading,
        messages: Sequence[Incoming],
        steps: Sequence["_Concern"],
        families: Collection[Family],
        later: Later,
    ) -> Outcome:
        tables = {table.oid: table for one in families for table in (one.own, *one.tables)}
        outcome = Outcome()
        over: set[Follower] = set()
        unsettled = set(self._unsettled)
        async with reading.snapshot(list(tables.values()), unsettled) as (seen, ask):
            self._unsettled -= unsettled
            after = [message for message in later(tables) if seen.sees(message.transaction.xid)]
            if sum(len(message.changes) for message in (*messages, *after)) > _MOST:
                raise Piled(f"more than {_MOST} changes of its tables have piled up")
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

    async def _probe(self, concern: "_Concern", rest: Sequence[Incoming], ask: Ask) -> set[Follower]:
        """The shapes of probed families that the step's rows may be in: found by rows of the subquery's table."""
        found: set[Follower] = set()
        for family in concern.probed:
            subquery = family.probe
            assert subquery is not None
            try:
                for row in await shown(Step(family, concern.step, rest), ask):
                    candidates = self._router.concerned(family.table(subquery).oid, row)
                    found.update(one.follower for one in candidates if one.follower.family is family)
            except Rotate:
                found.update(one for one in self._of.get(family.own.oid, ()) if one.family is family)
        return found


@dataclass(slots=True)
class _Concern:
    """Some transactions, shapes that they may concern, and families of which more may be found."""

    step: list[Incoming]
    followers: set[Follower]
    probed: set[Family]

    @property
    def families(self) -> set[Family]:
        return self.probed | {follower.family for follower in self.followers}


def _steps(messages: Sequence[Incoming]) -> list[list[Incoming]]:
    """Whole transactions, each by itself, or some together when there are many."""
    transactions: list[list[Incoming]] = []
    for message in messages:
        if not transactions or transactions[-1][0].transaction != message.transaction:
            transactions.append([])
        transactions[-1].append(message)
    together = sum(len(message.changes) for message in messages) >= _TOGETHER
    size = len(transactions) if together else -(-len(transactions) // _STEPS)
    left = iter(transactions)
    return [[one for each in some for one in each] for some in iter(lambda: list(islice(left, size or 1)), [])]


Group = tuple[Family, list[Incoming], list[Follower]]


def _groups(step: list[Incoming], concerned: Collection[Follower]) -> list[Group]:
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
