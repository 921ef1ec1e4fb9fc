"""Records of our slices: put by us, found though nobody feeds them, taken away though we feed them."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

import structlog

from medley.contracts.shapes import ShapeRecord
from medley.contracts.slices import slice_of
from medley.runtime.errors import Transient
from services.sync.fanout import Fanout
from services.sync.registry import Registry
from services.sync.slices import Slices

log = structlog.get_logger()


async def put(registry: Registry, slices: Slices, records: Sequence[ShapeRecord]) -> list[int]:
    """From here on they are everybody's; returns their revisions. Raises SliceLost when another worker feeds a slice of
    theirs, and Transient when CHANGES is not what it was: that is said before anything is captured anew."""
    try:
        revisions = await _all(registry.put(record) for record in records)
        await asyncio.gather(*(slices.check(number) for number in {slice_of(record.handle) for record in records}))
        changes_id = await registry.changes_id()
        if any(record.changes_id != changes_id for record in records):
            # What is captured from now on need not begin where their snapshot stands.
            raise Transient("everything starts afresh; try again")
    except BaseException:
        for record in records:
            await registry.forget(record.handle)
        raise
    return revisions


async def _all(works: Iterable[Awaitable[int]]) -> list[int]:
    """What they return, once all have ended. Raises what the first that failed raised."""
    found = await asyncio.gather(*works, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]


async def watch(fanout: Fanout, slices: Slices) -> None:
    """A record of our slices that we have not put is nobody's: another worker put it, which had lost the slice, and did
    not live to take it back. A shape whose record somebody took away is fed no longer."""
    async for entry in await fanout.registry.shapes.watchall(meta_only=True):
        if entry is None or slice_of(entry.key) not in slices.numbers:
            continue
        shape = fanout.shape(entry.key)
        if entry.operation not in ("DEL", "PURGE"):
            if shape is None:
                log.warning("a record that nobody feeds is forgotten", handle=entry.key)
                await fanout.registry.forget(entry.key)
        elif shape is not None and entry.key == shape.record.handle:
            log.info("shape dropped", handle=entry.key, table=shape.table, reason="its record was taken away")
            fanout.remove(shape)
