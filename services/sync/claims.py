"""Records of our slices: put by us, found though nobody feeds them, taken away though we feed them."""

import structlog

from medley.contracts.shapes import ShapeRecord
from medley.contracts.slices import slice_of
from medley.runtime.errors import Transient
from services.sync.fanout import Fanout
from services.sync.registry import Registry
from services.sync.slices import Slices

log = structlog.get_logger()


async def put(registry: Registry, slices: Slices, record: ShapeRecord) -> int:
    """From here on it is everybody's; returns its revision. Raises SliceLost when another worker feeds its slice, and
    Transient when CHANGES is not what it was: that is said before anything is captured anew."""
    revision = await registry.put(record)
    try:
        await slices.check(slice_of(record.handle))
        if await registry.changes_id() != record.changes_id:
            # What is captured from now on need not begin where its snapshot stands.
            raise Transient("everything starts afresh; try again")
    except BaseException:
        await registry.forget(record.handle)
        raise
    return revision


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
