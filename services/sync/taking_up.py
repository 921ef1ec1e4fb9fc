"""Which shapes of some slices can go on, and from where in CHANGES: what a worker does first in its term.

A shape can go on that has a whole snapshot, was fed from what CHANGES is now, and lacks nothing that is not there any
more. Where CHANGES has lost what was fanned out already (a power cut took more than was promised, or it was purged),
nothing of it can: whatever comes in its place would be taken for known.
"""

import asyncio
from collections.abc import Collection, Sequence

import orjson
import structlog
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from medley.contracts import streams
from medley.contracts.generations import Generations, grouped
from medley.contracts.slices import slice_of
from services.sync.registry import Registry
from services.sync.slices import Position

log = structlog.get_logger()

_AT_ONCE = 64


async def take_up(
    js: JetStreamContext, registry: Registry, positions: dict[int, Position | None], changes_id: str
) -> tuple[list[Generations], Position | None]:
    """`positions`: of the slices, as they were found. No position: from the oldest message that CHANGES holds."""
    records = [record for record in await registry.records() if slice_of(record.handle) in positions]
    fed = grouped(record for record in records if record.changes_id == changes_id and record.state == "ready")
    position = start(positions, {slice_of(shape.first.handle) for shape in fed}, changes_id)
    reason = await _gap(js, position)
    if reason is not None:
        log.error("shapes start afresh", reason=reason, shapes=len(fed))
        fed = []
    fit = await _whole(registry, fed)
    known = {record.handle for shape in fit for record in (shape.first, *shape.later)}
    for record in sorted(records, key=lambda record: record.continued is None):  # a shape's first generation last
        if record.handle not in known:
            log.warning("shape cannot go on", handle=record.handle, table=record.definition.table)
            await (registry.forget(record.handle) if record.state == "ready" else registry.forget_begun(record))
    if reason is not None or position is None:
        position = await _oldest(js, changes_id)
    return fit, position


def start(positions: dict[int, Position | None], needed: Collection[int], changes_id: str) -> Position | None:
    """The first of the positions; a slice without shapes needs none. Pure."""
    known = [one for one in positions.values() if one is not None and one.changes_id == changes_id]
    lacking = {number for number, one in positions.items() if one is None or one.changes_id != changes_id}
    if not known or lacking & set(needed):
        return None
    unseen = dict.fromkeys(xid for one in known for xid in one.unseen)
    return min(known, key=lambda one: one.sequence).model_copy(update={"unseen": tuple(unseen)})


async def _gap(js: JetStreamContext, position: Position | None) -> str | None:
    """Why nothing can go on from there."""
    if position is None:
        return None
    state = (await js.stream_info(streams.CHANGES.name)).state
    if state.last_seq < position.sequence:
        return f"CHANGES ends at {state.last_seq}, and was fanned out up to {position.sequence}"
    if state.first_seq > position.sequence + 1:
        return f"CHANGES begins at {state.first_seq}, and was fanned out up to {position.sequence} only"
    if position.place and position.sequence >= state.first_seq:
        try:
            found = await js.get_msg(streams.CHANGES.name, position.sequence)
        except NotFoundError:
            return f"CHANGES lacks message {position.sequence}"
        if int(orjson.loads(found.data or b"{}")["lsn"]) != position.place:
            return f"message {position.sequence} of CHANGES is another one than was fanned out"
    return None


async def _oldest(js: JetStreamContext, changes_id: str) -> Position:
    """Before everything that CHANGES holds."""
    first = (await js.stream_info(streams.CHANGES.name)).state.first_seq
    return Position(changes_id=changes_id, sequence=max(0, first - 1), lsn=0)


async def _whole(registry: Registry, shapes: Sequence[Generations]) -> list[Generations]:
    """Those whose last snapshot is there."""
    found: list[Generations] = []
    for begin in range(0, len(shapes), _AT_ONCE):
        some = shapes[begin : begin + _AT_ONCE]
        whole = await asyncio.gather(*(registry.has_snapshot(shape.served.handle) for shape in some))
        found += [shape for shape, there in zip(some, whole, strict=True) if there]
    return found
