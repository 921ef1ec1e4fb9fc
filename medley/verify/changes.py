"""Compares the tail of CHANGES, and the replication slot that feeds it, with Postgres."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nats.js import JetStreamContext

from medley.contracts import streams, subjects
from medley.runtime.errors import Unavailable
from medley.verify import reading
from medley.verify.announced import Announced
from medley.verify.database import SQL, Database
from medley.verify.findings import Finding, Tally
from medley.verify.pace import Pace
from medley.verify.places import Places

TAIL = 100_000
"""So many of the newest messages are looked at one by one, by headers; for gaps the whole stream is."""
_SLOT_REMEDY = "start sync: it makes the slot and starts every shape afresh"


class Slot(NamedTuple):
    """One row of pg_replication_slots, as the statement `slot` names it."""

    ours: bool
    plugin: str
    wal_status: str
    active: bool
    confirmed: int
    retained: int


async def verify(
    js: JetStreamContext, database: Database, announced: Announced, slot: str, pace: Pace, step: Callable[[int], None]
) -> tuple[list[Finding], dict[str, Any]]:
    """What differs, and notes for people."""
    row = await database.pool.fetchrow(SQL["slot"], slot)
    found = Slot(*row.values()) if row is not None else None
    tally = Tally()
    notes = await _tail(js, database, tally, pace, step)
    tally.all(_slot(slot, found))
    if found is not None and found.ours:
        notes |= {"slot": slot, "active": found.active, "confirmed": found.confirmed, "retained_bytes": found.retained}
        await _confirmed(slot, found, database, announced, tally)
    return tally.findings(), notes


async def _tail(
    js: JetStreamContext, database: Database, tally: Tally, pace: Pace, step: Callable[[int], None]
) -> dict[str, Any]:
    state = (await js.stream_info(streams.CHANGES.name)).state
    if state.num_deleted:
        found = f"{state.num_deleted} messages lacking between {state.first_seq} and {state.last_seq}"
        remedy = "restart sync: it makes shapes afresh that lack something"
        tally.add(Finding("changes", "gap", streams.CHANGES.name, "", found, "every message", remedy))
    places, looked = Places(), 0
    start = max(state.first_seq, state.last_seq - TAIL + 1)
    upto = state.last_seq if state.messages else 0
    async for message in reading.messages(js, streams.CHANGES.name, subjects.CHANGES_ANY, upto, start, bare=True):
        tally.all(places.message(message.sequence, message.headers))
        looked += 1
        step(1)
        await pace.spend(1)
    tally.all(places.finish(await database.pool.fetchval(SQL["written"])))
    return {"messages": looked, "newest_lsn": places.newest}


def _slot(name: str, found: Slot | None) -> Iterator[Finding]:
    """Pure."""
    if found is None:
        yield Finding("slot", "lost slot", name, "", "no such slot", "the one that sync reads from", _SLOT_REMEDY)
    elif not found.ours:
        remedy = "give sync another SYNC_SLOT, or drop this one"
        yield Finding("slot", "lost slot", name, "", "a slot of another database", "one of this database", remedy)
    elif found.plugin != "pgoutput":
        remedy = "give sync another SYNC_SLOT, or drop this one"
        yield Finding("slot", "lost slot", name, "", f"a slot of {found.plugin}", "one of pgoutput", remedy)
    elif found.wal_status in ("lost", "unreserved"):
        remedy = "raise max_slot_wal_keep_size" if found.wal_status == "unreserved" else _SLOT_REMEDY
        yield Finding("slot", "lost slot", name, "", f"its log {found.wal_status}", "its log reserved", remedy)


async def _confirmed(name: str, found: Slot, database: Database, announced: Announced, tally: Tally) -> None:
    """What was confirmed to Postgres, it may forget: so every shape must have it. Sync may be a moment behind."""
    await database.pool.execute(SQL["nudge"])
    try:
        await announced.reaches(found.confirmed - 1)
    except Unavailable as error:
        needed = "at most what sync has announced"
        remedy = "look at sync's log; if it runs, keep both for an inspection and restart it"
        tally.add(Finding("slot", "ahead", name, "", f"{found.confirmed} confirmed ({error})", needed, remedy))
