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
from itertools import pairwise
from typing import Any

import asyncpg
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from medley.contracts import streams, subjects
from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import Transient
from services.sync.announcements import Announcements
from services.sync.appends import Appends
from services.sync.arrivals import Arrivals
from services.sync.entries import Rotate, Transaction
from services.sync.following import Following
from services.sync.holds import Holds
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.evaluation import Evaluation
from services.sync.predicates.tier import Ended, PostgresTier
from services.sync.predicates.verdicts import Evaluated, Verdicts
from services.sync.progress import Mark, Progress, Reached
from services.sync.refusals import Refusals
from services.sync.registry import Registry
from services.sync.related.feeding import Outcome
from services.sync.related.reading import Reading
from services.sync.related.tier import RelatedTier
from services.sync.router import Router
from services.sync.slices import Position
from services.sync.table import Refused
from services.sync.turns import Turns
from services.sync.unseen import Unseen

log = structlog.get_logger()

_AT_ONCE = 64  # logs whose ends are looked up
_BEHIND = 5.0


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
    ) -> None:
        """`pool` and the budget of a question: for shapes that Postgres is asked about."""
        self._client = client
        self.js: JetStreamContext = client.jetstream()
        self.registry = registry
        self.announcements = announcements
        self.changes_id = changes_id
        self.shapes: dict[str, LiveShape] = {}
        self.refusals = Refusals()
        self._router: Router[LiveShape] = Router()
        self.evaluation = Evaluation(pool, seconds) if pool is not None else None
        self._postgres = PostgresTier(self.evaluation)
        self._progress = Progress(Reached(0, 0))
        self.lsn = 0
        """No entry that is still to come has an LSN at or below it."""
        self._sequence = 0
        self._inside: Transaction | None = None
        self._pool = pool
        self.unseen = Unseen(pool)
        self.holds = Holds()
        self.arrivals = Arrivals()
        self.reading = Reading(pool, seconds, self.arrivals.until) if pool is not None else None
        self.related = RelatedTier(self.reading, self.arrivals)
        self.appends = Appends(registry, self.arrivals.wake)

    async def recover(self, records: Sequence[ShapeRecord], position: Position | None) -> None:
        """Take up these shapes where the position says."""
        if position is not None:
            self._progress = Progress(Reached(position.sequence, position.lsn, position.place))
            self._sequence, self.lsn = position.sequence, position.lsn
            self.unseen = Unseen(self._pool, position.unseen)
        for start in range(0, len(records), _AT_ONCE):
            await asyncio.gather(*map(self._take_up, records[start : start + _AT_ONCE]))
        self.arrivals.begin(self._sequence)

    async def _take_up(self, record: ShapeRecord) -> None:
        shape = LiveShape(self.js, record)
        await shape.recover()
        if shape.torn and shape.reads:
            # Its transactions may be put together in another way now.
            log.warning("shape cannot go on: its log ends inside a transaction", handle=record.handle)
            await self.registry.forget(record.handle)
        else:
            self.add(shape)

    def _enter(self, shape: LiveShape) -> None:
        self.shapes[shape.record.handle] = shape
        self._router.add(shape.relation, shape)

    def add(self, shape: LiveShape) -> None:
        self._enter(shape)
        if shape.reads:
            self.related.add(self.related.follower(shape))
        elif isinstance(shape.where, Evaluated):
            self._postgres.add(shape)

    def remove(self, shape: LiveShape) -> None:
        """Stop feeding the shape; its record and log are still there."""
        if self.shapes.pop(shape.record.handle, None) is not None:
            self._router.remove(shape.relation, shape)
            self.related.remove(shape.record.handle)
            if isinstance(shape.where, Evaluated) and not shape.reads:
                self._postgres.remove(shape)

    async def drop(self, shape: LiveShape, reason: str) -> None:
        """The shape is over: clients that follow it fetch again, under another handle."""
        log.info("shape dropped", handle=shape.record.handle, table=shape.table, reason=reason)
        self.remove(shape)
        await self.registry.forget(shape.record.handle)

    async def announced(self) -> None:
        """Wait until the logs have come as far as was announced before this term: a shape that is opened must not have
        an entry below that. Raises Transient."""
        try:
            async with asyncio.timeout(_BEHIND):
                while self.lsn < self.announcements.floor:
                    await self.appends.flushed()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise Transient("sync has not caught up with what it announced before; try again") from None

    async def close(self) -> None:
        """Give its sessions back."""
        for one in (self.evaluation, self.reading):
            if one is not None:
                await one.close()

    async def evaluate_held(self, shape: LiveShape, held: list[Incoming]) -> None:
        """Ask about what is held for a new shape, and what arrives meanwhile; nothing is lacking when it returns.
        Raises Refused, Rotate."""
        if not isinstance(shape.where, Evaluated):
            return
        verdicts: Verdicts[LiveShape] = Verdicts()
        shape.answered_by(verdicts)
        done = 0
        while done < len(held):
            messages, done = held[done:], len(held)
            own = [message for message in messages if not shape.snapshot.sees(message.transaction.xid)]
            for _, reason, refused, _ in await self._postgres.ask_for(verdicts, own, shape):
                raise Refused("where", reason) if refused else Rotate(reason)

    async def follow(self, shape: LiveShape, held: list[Incoming], moment: asyncpg.Record) -> bool:
        """Add a shape with subqueries, once it has what is held for it. False when the snapshot is not the state after
        some transaction: it sees a later one and not an earlier one.

        Raises Refused, Rotate. `moment`: that of the snapshot.
        """
        assert self.reading is not None
        await self.reading.wait(moment)
        await self._processed()
        unseen = [not shape.snapshot.sees(message.transaction.xid) for message in held]
        if any(earlier and not later for earlier, later in pairwise(unseen)):
            return False
        self._enter(shape)  # before it is given anything: only what is here is appended
        try:
            await self.related.join(self.related.follower(shape), held)
            if shape.record.handle not in self.shapes:
                raise Rotate("it ended while it was opened")
        except BaseException:
            self.remove(shape)
            self.related.remove(shape.record.handle)
            raise
        return True

    async def _processed(self) -> None:
        """Wait until all that has arrived by now is processed."""
        newest = self.arrivals.newest
        while self._sequence < newest:
            await self.appends.flushed()

    def catch_up(self, shape: LiveShape, held: list[Incoming]) -> None:
        """Give a new shape what was held for it. Raises Rotate.

        Only its own table's messages were held, so a transaction has ended when the next one begins, or when it is not
        the one that fan-out is inside of.
        """
        current: Transaction | None = None
        for incoming in held:
            if incoming.transaction != current:
                shape.pending.transaction_ends()
            current = incoming.transaction
            if shape.admits(incoming):
                for change in incoming.changes:
                    shape.take_in(change, incoming.transaction)
        if current is not None and current == self._inside:
            self.appends.touch(shape)
        else:
            shape.pending.transaction_ends()
        self.appends.add(shape)

    async def follow_changes(self) -> None:
        """Take CHANGES in from the position on, as fast as it is processed; ends only by raising."""
        following = Following(self._client, streams.CHANGES.name, self.arrivals.receive, self.arrivals.room)
        await following.run(subjects.CHANGES_ANY, self._sequence + 1)

    async def run(self) -> None:
        """Process what has arrived; ends only by raising."""
        while True:
            await self.arrivals.wake.wait()
            self.arrivals.wake.clear()
            self.arrivals.take()
            await self._round()
            # Before the flush: a shape that is opened meanwhile is nobody's yet, and appended in the next round.
            reached = self._progress.at(self.related.floor(self._sequence))
            await self.appends.flush(self.shapes)
            self.lsn = reached.lsn
            self.announcements.moved(
                Position(changes_id=self.changes_id, sequence=reached.sequence, lsn=reached.lsn, place=reached.place)
            )
            if self.arrivals:
                self.arrivals.wake.set()
                await asyncio.sleep(0)

    async def _round(self) -> None:
        """Every message is processed in one step, once Postgres was asked for all whose clauses it decides."""
        self._postgres.begin()
        turns = Turns()
        taken = self.arrivals.taken
        while taken:
            while self._postgres.lacks(taken[0].oid):
                self._end(await self._postgres.evaluate(list(taken)))
            self._process(taken.popleft())
            if self.appends.full():
                await self.appends.flush(self.shapes)
            await turns.taken()
        self._postgres.end()

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
        if incoming.sequence <= self._sequence:
            return  # the consumer started again
        if incoming.sequence > self._sequence + 1 and self.shapes:
            for shape in list(self.shapes.values()):
                self._leave(shape, f"CHANGES lacks messages between {self._sequence} and {incoming.sequence}")
        self._sequence = incoming.sequence
        self.unseen.add(incoming.transaction.xid)
        self.holds.take(incoming)
        self.related.take(incoming)
        self._distribute(incoming)
        self._inside = None if incoming.last else incoming.transaction
        if incoming.last:
            self.appends.transaction_ended()
            self._progress.transaction_ended(incoming.sequence, incoming.transaction.lsn)

    def _distribute(self, incoming: Incoming) -> None:
        admitted: dict[str, bool] = {}
        for change in incoming.changes:
            for shape in self._concerned(incoming.oid, change):
                handle = shape.record.handle
                try:
                    if handle not in admitted:
                        admitted[handle] = shape.admits(incoming)
                    if admitted[handle] and shape.take_in(change, incoming.transaction):
                        self.appends.touch(shape)
                except Rotate as reason:
                    admitted[handle] = False
                    self._leave(shape, str(reason))

    def _concerned(self, relation: int, change: dict[str, Any]) -> list[LiveShape]:
        """The shapes that a change may concern; each decides itself what it means."""
        old, new = change.get("old"), change.get("new")
        match change["op"]:
            case "insert":
                return [*self._router.concerned(relation, new), *self._postgres.concerned(relation, new)]
            case "update" | "delete" if old is not None:
                return [*self._router.concerned(relation, old, new), *self._postgres.concerned(relation, old, new)]
            case _:
                return [*self._router.all_of(relation), *self._postgres.all_of(relation)]

    def _leave(self, shape: LiveShape, reason: str) -> None:
        log.info("shape rotates", handle=shape.record.handle, table=shape.table, reason=reason)
        self.remove(shape)
        self.appends.leave(shape)
