"""Room on a bus whose store is full: then nothing can be written any more, what would free something neither.

A shape whose log has outgrown its snapshot takes more than it would afresh, and cannot be given another snapshot beside
that log. So it ends; its readers are told to fetch again. What is not written yet waits in Postgres.
"""

import asyncio

import structlog
from nats.js import JetStreamContext

from medley.contracts.generations import Generations, grouped
from services.sync.registry import Registry
from services.sync.shape_log import ShapeLog

log = structlog.get_logger()

_AT_ONCE = 64  # logs whose ends are looked up


async def make(js: JetStreamContext, log_bytes: int) -> None:
    """End the shapes, whoever feeds them, whose log holds more than `log_bytes` and than its last snapshot."""
    registry = await Registry.open(js)
    shapes = grouped(await registry.records())
    for start in range(0, len(shapes), _AT_ONCE):
        some = shapes[start : start + _AT_ONCE]
        for shape, grown in zip(some, await asyncio.gather(*(_grown(js, one) for one in some)), strict=True):
            if grown > max(log_bytes, shape.served.snapshot_bytes):
                log.error(
                    "shape ends: the bus is full, and its log takes the room", handle=shape.first.handle, bytes=grown
                )
                for record in (*reversed(shape.later), shape.first):
                    await registry.forget(record.handle)


async def _grown(js: JetStreamContext, shape: Generations) -> int:
    """Bytes of the log since the last snapshot."""
    end = ShapeLog(js, shape.first.handle)
    await end.recover()
    return end.size - (shape.served.continued.size if shape.served.continued is not None else 0)
