"""The shapes of one fan-out whose clauses have subqueries, and what transactions mean for them.

Invariants
  * a shape's entries of a transaction lead from what its clause is true for before it to what it is true for after it,
    whatever has been committed since;
  * a shape is given whole transactions only, each once: what its log or its snapshot holds is left out.

The order: collect the messages of their tables → when transactions have ended, one snapshot of Postgres → for each
transaction in turn, verdicts on the rows that it changed and a search for rows that moved → entries. When many
transactions have piled up, some together are one step: a reader sees them at once, under the last one's LSN.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import asyncpg

from services.sync.entries import Entry, Rotate, Transaction
from services.sync.live import Incoming
from services.sync.predicates.tier import Ended
from services.sync.related.family import Family
from services.sync.related.follower import Candidate, Follower
from services.sync.related.reading import Altered, Reading
from services.sync.related.step import Step, entries_of
from services.sync.router import Router

_STEPS = 16
"""Into which the transactions of one round are put together when there are more."""
_MOST_CHANGES = 1_000_000
"""That are looked at together; a shape that would need more starts afresh."""


class Fed(NamedTuple):
    """A shape's entries, in order; the last one ends a transaction."""

    follower: Follower
    entries: list[Entry]


@dataclass(slots=True)
class Outcome:
    fed: list[Fed] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


class RelatedTier:
    """`ahead`: the messages of CHANGES that are not processed yet."""

    def __init__(self, reading: Reading | None, ahead: Callable[[], list[Incoming]]) -> None:
        self._reading = reading
        self._ahead = ahead
        self._followers: dict[str, Follower] = {}
        self._candidates: dict[str, list[tuple[int, Candidate]]] = {}
        self._router: Router[Candidate] = Router()
        self._relations: dict[int, int] = defaultdict(int)
        self._waiting: list[Incoming] = []
        """Messages of the followers' tables that are processed and not evaluated."""
        self._unsettled: set[int] = set()
        """Transactions that no snapshot has shown yet."""

    def add(self, follower: Follower, held: Sequence[Incoming] = ()) -> None:
        """`held`: messages that came before, of which the transaction that has not ended is its own, too."""
        handle = follower.shape.record.handle
        self._followers[handle] = follower
        own = follower.family.own.oid
        candidates = [(own, follower.outer()), *follower.inner()]
        self._candidates[handle] = candidates
        for relation, candidate in candidates:
            self._router.add(relation, candidate)
        for relation in follower.relations():
            self._relations[relation] += 1
        known = {message.sequence for message in self._waiting}
        self._waiting += [one for one in held if one.sequence > follower.fed and one.sequence not in known]
        self._waiting.sort(key=lambda message: message.sequence)

    def remove(self, handle: str) -> None:
        follower = self._followers.pop(handle, None)
        if follower is None:
            return
        for relation, candidate in self._candidates.pop(handle):
            self._router.remove(relation, candidate)
        for relation in follower.relations():
            self._relations[relation] -= 1
            if not self._relations[relation]:
                del self._relations[relation]

    def take(self, incoming: Incoming) -> None:
        """A message was processed."""
        if incoming.oid in self._relations:
            self._waiting.append(incoming)

    async def evaluate(self, inside: Transaction | None) -> Outcome:
        """What the transactions that have ended mean; `inside` is the one that has not."""
        if not self._waiting:
            return Outcome()
        whole = [message for message in self._waiting if message.transaction != inside]
        self._waiting = self._waiting[len(whole) :]
        return await self.feed(whole, None, lambda: [*self._waiting, *self._ahead()])

    async def feed(
        self, messages: Sequence[Incoming], only: Collection[Follower] | None, later: Callable[[], list[Incoming]]
    ) -> Outcome:
        """What whole transactions mean for their followers, or for some. `later`: what came after them.

        When the questions fail, the shapes are asked about by halves: one that is to blame ends alone.
        """
        steps = [self._concerned(step, only) for step in _steps(messages)]
        concerned = {follower: None for _, found in steps for follower in found}
        if not concerned:
            return Outcome()
        reading = self._reading
        assert reading is not None
        self._unsettled.update(message.transaction.xid for message in messages)
        try:
            return await self._ask(reading, messages, steps, list(concerned), later)
        except (asyncpg.PostgresError, Altered) as error:
            if reading.lost():
                raise
            if len(concerned) == 1:
                return Outcome(ended=[_end(next(iter(concerned)), error)])
        followers = list(concerned)
        middle = len(followers) // 2
        outcome = Outcome()
        for half in (followers[:middle], followers[middle:]):
            found = await self.feed(messages, half, later)
            outcome.fed += found.fed
            outcome.ended += found.ended
        return outcome

    def _concerned(
        self, step: list[Incoming], only: Collection[Follower] | None
    ) -> tuple[list[Incoming], set[Follower]]:
        found: set[Follower] = set()
        if only is not None:
            # They need not be here yet; too many is never wrong.
            return step, {one for one in only if any(message.oid in one.relations() for message in step)}
        for message in step:
            for change in message.changes:
                old, new = change.get("old"), change.get("new")
                if change["op"] in ("insert", "update", "delete"):
                    candidates = self._router.concerned(message.oid, old, new)
                else:
                    candidates = self._router.all_of(message.oid)
                found.update(candidate.follower for candidate in candidates)
        return step, found

    async def _ask(
        self,
        reading: Reading,
        messages: Sequence[Incoming],
        steps: Sequence[tuple[list[Incoming], set[Follower]]],
        followers: Sequence[Follower],
        later: Callable[[], list[Incoming]],
    ) -> Outcome:
        tables = {table.oid: table for one in followers for table in (one.family.own, *one.family.tables)}
        outcome = Outcome()
        over: set[Follower] = set()
        unsettled = set(self._unsettled)
        async with reading.snapshot(list(tables.values()), unsettled) as (seen, ask):
            self._unsettled -= unsettled
            after = [message for message in later() if seen.sees(message.transaction.xid)]
            if sum(len(message.changes) for message in (*messages, *after)) > _MOST_CHANGES:
                raise Altered(f"more than {_MOST_CHANGES} changes of its tables have piled up")
            done = 0
            for step, concerned in steps:
                done += len(step)
                rest = [*messages[done:], *after]
                for family, own, group in _groups(step, concerned - over):
                    found = await entries_of(Step(family, own, rest), group, ask)
                    for follower, entries in found.items():
                        if isinstance(entries, Rotate):
                            over.add(follower)
                            outcome.ended.append(Ended(follower.shape, str(entries), refused=False))
                        elif entries:
                            outcome.fed.append(Fed(follower, entries))
        return outcome


def _steps(messages: Sequence[Incoming]) -> list[list[Incoming]]:
    """Whole transactions, each by itself, or some together when there are many."""
    transactions: list[list[Incoming]] = []
    for message in messages:
        if not transactions or transactions[-1][0].transaction != message.transaction:
            transactions.append([])
        transactions[-1].append(message)
    size = -(-len(transactions) // _STEPS)
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
    if isinstance(error, asyncpg.QueryCanceledError | asyncpg.LockNotAvailableError):
        return Ended(shape, "its subqueries take too long for the rows of a moment", refused=True, slow=True)
    if isinstance(error, asyncpg.DataError | asyncpg.RaiseError):
        return Ended(shape, error.message or str(error), refused=True)
    return Ended(shape, str(error), refused=False)
