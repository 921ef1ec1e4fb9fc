"""Keeps the stream of shapes within its budget on disk: what has not been read for the longest time goes first.

A client that comes back to a shape that went is told to fetch again, as after any other end of a shape.
"""

import asyncio
import time

import structlog

from medley.contracts import streams
from services.sync.fanout import Fanout
from services.sync.live import LiveShape
from services.sync.reads import Reads
from services.sync.settings import SyncSettings

log = structlog.get_logger()


async def watch(fanout: Fanout, reads: Reads, settings: SyncSettings) -> None:
    """Ends only by raising."""
    complained = False
    while True:
        await asyncio.sleep(settings.renewal_interval)
        reads.keep(lambda handle: fanout.shape(handle) is not None)
        if not settings.shapes_bytes or await _size(fanout) <= settings.shapes_bytes:
            complained = False
            continue
        for shape in idle(fanout, reads, time.monotonic() - settings.idle_seconds):
            if await _size(fanout) <= settings.shapes_bytes:
                break
            await fanout.drop(shape, "nobody has read it for long, and shapes take more room than they may")
        over = await _size(fanout) - settings.shapes_bytes
        if over > 0 and not complained:
            log.error("shapes take more room than they may, and all of them are read", over=over)
        complained = over > 0


def idle(fanout: Fanout, reads: Reads, before: float) -> list[LiveShape]:
    """The shapes that nobody has read since, the one longest unread first. Pure."""

    def last(shape: LiveShape) -> float:
        handle = shape.record.handle
        return max(reads.last(one) for one in (handle, *(record.handle for record in fanout.later.of(handle))))

    ready = (shape for shape in fanout.shapes.values() if shape.record.state == "ready")
    found = sorted(((last(shape), shape.record.handle, shape) for shape in ready), key=lambda one: one[:2])
    return [shape for at, _, shape in found if at <= before]


async def _size(fanout: Fanout) -> int:
    return int((await fanout.js.stream_info(streams.SHAPES.name)).state.bytes)
