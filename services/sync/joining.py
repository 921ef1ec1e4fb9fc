"""A new shape is given what it must not miss, and becomes one of those that fan-out feeds.

What Postgres's snapshot does not see of what was held belongs into its log; the rest is in its snapshot.
"""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import asyncpg

from medley.runtime.errors import Transient
from medley.sql.visibility import Snapshot
from services.sync.entries import Rotate, Transaction
from services.sync.fanout import Fanout
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.verdicts import Evaluated, Verdicts
from services.sync.table import Refused

_BEHIND = 5.0


async def announced(fanout: Fanout) -> None:
    """Wait until the logs have come as far as was announced before this term: a shape that is opened must not have
    an entry below that. Raises Transient."""
    try:
        async with asyncio.timeout(_BEHIND):
            while fanout.lsn < fanout.announcements.floor:
                await fanout.appends.flushed()
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise Transient("sync has not caught up with what it announced before; try again") from None


async def join(fanout: Fanout, shape: LiveShape, held: list[Incoming], moment: asyncpg.Record) -> bool:
    """Feed the shape from now on. False when its snapshot cannot be used: another one is needed.

    `held`: what came of its tables since before the snapshot, of this `moment`, and still comes.
    Raises Refused, Rotate.
    """
    if shape.reads:
        return await _relate(fanout, shape, held, moment)
    await _evaluate(fanout, shape, held)
    catch_up(fanout, shape, held)
    fanout.add(shape)
    return True


async def boundary(fanout: Fanout, seen: Snapshot, held: Sequence[Incoming], moment: asyncpg.Record) -> int | None:
    """The LSN such that the snapshot sees every transaction at or below it that was held or processed before, and none
    above; None when there is no such one: it sees a transaction and not one before that."""
    assert fanout.reading is not None
    await fanout.reading.wait(moment)
    newest = fanout.arrivals.newest
    while fanout.sequence < newest:
        await fanout.appends.flushed()
    unseen = [not seen.sees(message.transaction.xid) for message in held]
    if any(earlier and not later for earlier, later in pairwise(unseen)):
        return None
    return held[unseen.index(True)].transaction.lsn - 1 if True in unseen else fanout.ended


async def _relate(fanout: Fanout, shape: LiveShape, held: list[Incoming], moment: asyncpg.Record) -> bool:
    """One with subqueries."""
    if await boundary(fanout, shape.snapshot, held, moment) is None:
        return False
    fanout.enter(shape)  # before it is given anything: only what is there is appended
    try:
        await fanout.related.join(fanout.related.follower(shape), held)
        if shape.record.handle not in fanout.shapes:
            raise Rotate("it ended while it was opened")
    except BaseException:
        fanout.remove(shape)
        fanout.related.remove(shape.record.handle)
        raise
    return True


async def _evaluate(fanout: Fanout, shape: LiveShape, held: list[Incoming]) -> None:
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
        for _, reason, refused, _ in await fanout.postgres.ask_for(verdicts, own, shape):
            raise Refused("where", reason) if refused else Rotate(reason)


def catch_up(fanout: Fanout, shape: LiveShape, held: list[Incoming]) -> None:
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
            shape.take_in(incoming.changes, incoming.transaction)
    if current is not None and current == fanout.inside:
        fanout.appends.touch(shape)
    else:
        shape.pending.transaction_ends()
    fanout.appends.add(shape)
