"""Records of our slices that are not ours, and shapes of ours whose record is gone."""

import structlog

from medley.contracts.slices import slice_of
from services.sync.fanout import Fanout
from services.sync.slices import Slices

log = structlog.get_logger()


async def watch(fanout: Fanout, slices: Slices) -> None:
    """A record of our slices that we have not put is nobody's: another worker put it, which had lost the slice, and did
    not live to take it back. A shape whose record somebody took away is fed no longer."""
    async for entry in await fanout.registry.shapes.watchall(meta_only=True):
        if entry is None or slice_of(entry.key) not in slices.numbers:
            continue
        shape = fanout.shapes.get(entry.key)
        if entry.operation not in ("DEL", "PURGE"):
            if shape is None:
                log.warning("a record that nobody feeds is forgotten", handle=entry.key)
                await fanout.registry.forget(entry.key)
        elif shape is not None:
            log.info("shape dropped", handle=entry.key, table=shape.table, reason="its record was taken away")
            fanout.remove(shape)
