"""Tell readers of idle shapes how far the logs have come, and keep the position for the next term.

Both follow the position as it moves: nothing is sent while it stands, and of many moves only the newest is.
An announcement names the one before it, so that a sync that does not know yet that it no longer leads cannot take the
position back; the first one of a term goes on from what the stream holds.
"""

import asyncio

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from medley.contracts import headers, streams, subjects
from services.sync.registry import Position, Registry
from services.sync.unseen import Unseen

_ANNOUNCE_INTERVAL = 0.02
_SAVE_INTERVAL = 1.0


class Announcements:
    """One term's. `moved` may be called at any rate."""

    def __init__(self, js: JetStreamContext, registry: Registry, announced: int, sequence: int) -> None:
        self._js = js
        self._registry = registry
        self._announced = announced
        self._sequence = sequence
        self._position: Position | None = None
        self._to_announce = asyncio.Event()
        self._to_save = asyncio.Event()

    @classmethod
    async def open(cls, js: JetStreamContext, registry: Registry) -> "Announcements":
        try:
            last = await js.get_last_msg(streams.SHAPES.name, subjects.SHAPE_POSITION)
        except NotFoundError:
            return cls(js, registry, 0, 0)
        return cls(js, registry, int(last.data or b"0"), last.seq or 0)

    def moved(self, position: Position) -> None:
        """Everything up to the position is appended and acked."""
        if position != self._position:
            self._position = position
            self._to_announce.set()
            self._to_save.set()

    async def announce(self) -> None:
        while True:
            await self._to_announce.wait()
            self._to_announce.clear()
            if self._position is not None and self._position.lsn > self._announced:
                await self._publish(self._position.lsn)
            await asyncio.sleep(_ANNOUNCE_INTERVAL)

    async def save(self, unseen: Unseen) -> None:
        while True:
            await self._to_save.wait()
            self._to_save.clear()
            if (position := self._position) is not None:
                # Newer ones do no harm in it; those at or before the position are all there.
                await self._registry.save(position.model_copy(update={"unseen": await unseen.left()}))
            await asyncio.sleep(_SAVE_INTERVAL)

    async def _publish(self, lsn: int) -> None:
        """Raises nats.js.errors.APIError when another sync announced meanwhile."""
        named = {headers.ROLLUP: "sub", headers.EXPECTED_LAST_SUBJECT_SEQUENCE: str(self._sequence)}
        acked = await self._js.publish(subjects.SHAPE_POSITION, str(lsn).encode(), headers=named)
        self._announced, self._sequence = lsn, acked.seq
