"""Fan-out: every change of CHANGES into the log of each shape that it concerns.

Invariants
  * a shape's log holds each of its entries once, in the order of commits: what is at or before the log's last
    offset is a repeat, and appends name the sequence that they expect;
  * nothing is decided on a row that its clause was not evaluated for;
  * a shape whose clause has subqueries is given whole transactions, when they have ended (`related`);
  * the position moves only when everything up to it has been appended and acked (`progress.py` says how far).

The order: changes → verdicts → entries → append → ack → rotate what must → position. A crash repeats from the position.
"""

import asyncio
from collections.abc import Iterable, Sequence

import asyncpg
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from medley.contracts import streams, subjects
from medley.contracts.generations import Generations
from medley.contracts.shapes import ShapeRecord
from services.sync import routing
from services.sync.ahead import Ahead
from services.sync.announcements import Announcements
from services.sync.appends import Appends
from services.sync.arrivals import Arrivals
from services.sync.entries import Rotate, Transaction
from services.sync.following import Following
from services.sync.holds import Holds
from services.sync.later import Later
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.evaluation import Evaluation
from services.sync.predicates.tier import Ended, PostgresTier
from services.sync.predicates.verdicts import Evaluated
from services.sync.progress import Mark, Progress, Reached
from services.sync.refusals import Refusals
from services.sync.registry import Registry
from services.sync.related.feeding import Outcome
from services.sync.related.reading import Reading
from services.sync.related.tier import RelatedTier
from services.sync.router import Router
from services.sync.slices import Position
from services.sync.turns import Turns
from services.sync.unseen import Unseen

log = structlog.get_logger()

_AT_ONCE = 64  # logs whose ends are looked up


class Fanout:
    """The shapes of this worker and the loop that feeds them. Single-threaded: no step is seen half done."""

    def __init__(
        self,
        client: Client,
        registry: Registry,
        announcements: Announcements,
        changes_id: str,
        pool: asyncpg.Pool | None = None,
        seconds: float = 5.0,
        publication: str = "",
    ) -> None:
        """`pool`, the budget of a question, and the publication: for shapes that Postgres is asked about."""
        self._client = client
        self.js: JetStreamContext = client.jetstream()
        self.registry = registry
        self.announcements = announcements
        self.changes_id = changes_id
        self.shapes: dict[str, LiveShape] = {}
        """By the handle of the first generation."""
        self.later = Later()
        self.refusals = Refusals()
        self._router: Router[LiveShape] = Router()
        self.evaluation = Evaluation(pool, seconds) if pool is not None else None
        self.postgres = PostgresTier(self.evaluation)
        self._progress = Progress(Reached(0, 0))
        self.lsn = 0
        """No entry that is still to come has an LSN at or below it."""
        self.sequence = 0
        """Of the last message that is processed."""
        self.inside: Transaction | None = None
        """Of whose messages some are processed, and not the last one."""
        self.ended = 0
        """LSN of the last transaction that is processed."""
        self._pool = pool
        self.unseen = Unseen(pool)
        self._ahead = Ahead()
        self.holds = Holds()
        self.arrivals = Arrivals()
        until = self.arrivals.until
        self.reading = Reading(pool, seconds, until, publication) if pool is not None else None
        self.related = RelatedTier(self.reading, self.arrivals)
        self.appends = Appends(self.forget, self.arrivals.wake)

    async def recover(self, taken: Sequence[Generations], position: Position | None) -> None:
        """Take up these shapes where the position says."""
        if position is not None:
            self._progress = Progress(Reached(position.sequence, position.lsn, position.place))
            self.sequence, self.lsn, self.ended = position.sequence, position.lsn, position.lsn
            self.unseen = Unseen(self._pool, position.unseen)
        for start in range(0, len(taken), _AT_ONCE):
            await asyncio.gather(*map(self._take_up, taken[start : start + _AT_ONCE]))
        for shape in self.shapes.values():
            if shape.pending.last.tx > self.lsn:
                self._ahead.awaits(shape, shape.pending.last.tx)
        self.arrivals.begin(self.sequence)

    async def _take_up(self, generations: Generations) -> None:
        shape = LiveShape(self.js, generations.first)
        for record in generations.later:
            self.later.add(record)
        await shape.recover(generations.served.continued)
        if shape.torn and shape.reads:
            # Its transactions may be put together in another way now.
            log.warning("shape cannot go on: its log ends inside a transaction", handle=shape.record.handle)
            await self.forget(shape)
        else:
            self.add(shape)
            self.appends.weigh(shape)

    def enter(self, shape: LiveShape) -> None:
        self.shapes[shape.record.handle] = shape
        self._router.add(shape.relation, shape)

    def add(self, shape: LiveShape) -> None:
        self.enter(shape)
        if shape.reads:
            self.related.add(self.related.follower(shape))
        elif isinstance(shape.where, Evaluated):
            self.postgres.add(shape)

    def remove(self, shape: LiveShape) -> None:
        """Stop feeding the shape; its record and log are still there."""
        if self.shapes.pop(shape.record.handle, None) is not None:
            self._router.remove(shape.relation, shape)
            self.related.remove(shape.record.handle)
            if isinstance(shape.where, Evaluated) and not shape.reads:
                self.postgres.remove(shape)

    async def drop(self, shape: LiveShape, reason: str) -> None:
        """The shape is over: clients that follow it fetch again, under another handle."""
        log.info("shape dropped", handle=shape.record.handle, table=shape.table, reason=reason)
        self.remove(shape)
        await self.forget(shape)

    async def forget(self, shape: LiveShape) -> None:
        """Records and messages of all its generations, the first one last: what is left by a crash is no shape."""
        first = shape.record.handle
        for record in tuple(self.later.of(first)):
            await self.registry.forget(record.handle)
            self.later.remove(record.handle)
        await self.registry.forget(first)

    def served(self, shape: LiveShape) -> ShapeRecord:
        """The generation that clients are given who come now."""
        return self.later.last(shape.record.handle) or shape.record.whole()

    def shape(self, handle: str) -> LiveShape | None:
        """Whose handle it is, of any generation."""
        return self.shapes.get(self.later.first(handle))

    async def close(self) -> None:
        """Give its sessions back."""
        for one in (self.evaluation, self.reading):
            if one is not None:
                await one.close()

    async def follow_changes(self) -> None:
        """Take CHANGES in from the position on, as fast as it is processed; ends only by raising."""
        arrivals = self.arrivals
        following = Following(self._client, streams.CHANGES.name, arrivals.receive, arrivals.room, lambda: arrivals.fed)
        while True:
            await following.run(subjects.CHANGES_ANY, arrivals.newest + 1)
            await arrivals.lacking()

    async def run(self) -> None:
        """Process what has arrived; ends only by raising."""
        while True:
            await self.arrivals.wake.wait()
            self.arrivals.wake.clear()
            self.arrivals.take()
            await self._round()
            # Before the flush: a shape that is opened meanwhile is nobody's yet, and appended in the next round.
            reached = self._progress.at(min(self.related.floor(self.sequence), self.arrivals.safe))
            await self.appends.flush(self.shapes)
            self.lsn = reached.lsn
            for shape in self._ahead.missing(reached.lsn):
                if shape.record.handle in self.shapes:
                    self._leave(shape, "its log ends with a transaction that CHANGES does not have")
            self.announcements.moved(
                Position(changes_id=self.changes_id, sequence=reached.sequence, lsn=reached.lsn, place=reached.place)
            )
            if self.arrivals:
                self.arrivals.wake.set()
                await asyncio.sleep(0)

    async def _round(self) -> None:
        """Every message is processed in one step, once Postgres was asked for all whose clauses it decides."""
        self.postgres.begin()
        turns = Turns()
        taken = self.arrivals.taken
        while taken:
            while self.postgres.lacks(taken[0].oid):
                self._end(await self.postgres.evaluate(list(taken)))
            self._process(taken.popleft())
            if self.appends.full():
                await self.appends.flush(self.shapes)
            if turns.due:
                await turns.taken()
        self.postgres.end()

    async def relate(self) -> None:
        """Give shapes with subqueries what transactions mean for them; ends only by raising."""
        await self.related.run(self._feed)

    def _feed(self, outcome: Outcome) -> None:
        for follower, entries in outcome.fed:
            self.appends.give(follower.shape, entries)
        self._end(outcome.ended)
        self.arrivals.wake.set()

    def _end(self, ended: Iterable[Ended]) -> None:
        for shape, reason, refused, slow in ended:
            if refused:
                self.refusals.add(shape.record.definition, {"where": [reason]}, slow=slow)
            if shape.record.handle in self.shapes:
                self._leave(shape, reason)

    def marked(self, mark: Mark) -> None:
        """Capture's word on how far CHANGES goes."""
        self._progress.marked(mark)
        self.arrivals.marked(mark)

    def _process(self, incoming: Incoming) -> None:
        if incoming.sequence <= self.sequence:
            return  # the consumer started again
        if incoming.sequence > self.sequence + 1 and self.shapes:
            for shape in list(self.shapes.values()):
                self._leave(shape, f"CHANGES lacks messages between {self.sequence} and {incoming.sequence}")
        self.sequence = incoming.sequence
        self._ahead.came(incoming.transaction.lsn)
        self.unseen.add(incoming.transaction.xid)
        self.holds.take(incoming)
        self.related.take(incoming)
        self._end(self.related.overfull())
        self._distribute(incoming)
        self.inside = None if incoming.last else incoming.transaction
        if incoming.last:
            self.ended = incoming.transaction.lsn
            self.appends.transaction_ended()
            self._progress.transaction_ended(incoming.sequence, incoming.transaction.lsn)

    def _distribute(self, incoming: Incoming) -> None:
        for shape, changes in routing.concerned(self._router, self.postgres, incoming):
            try:
                if shape.admits(incoming) and shape.take_in(changes, incoming.transaction):
                    self.appends.touch(shape)
            except Rotate as reason:
                self._leave(shape, str(reason))

    def _leave(self, shape: LiveShape, reason: str) -> None:
        log.info("shape rotates", handle=shape.record.handle, table=shape.table, reason=reason)
        self.remove(shape)
        self.appends.leave(shape)
