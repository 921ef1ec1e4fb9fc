"""Tell readers of idle shapes how far the logs have come, and keep the position for the next term.

Both follow the position as it moves: nothing is sent while it stands, and of many moves only the newest is. The first
announcement of a term goes on from what was announced before, with a higher epoch: from then on nobody listens to a
worker that does not know yet that its slices are another one's.

A position is kept only when it is `delay` seconds old: what was acked up to it then survives a power cut of the bus,
whose disk is synced more often than that. A crash repeats from there, and the repeat is recognised.
"""

import asyncio
import time
from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from medley.contracts import headers, streams, subjects
from medley.contracts.shapes import Announcement
from medley.contracts.slices import SLICES
from services.sync.slices import Position, Slices
from services.sync.unseen import Unseen

_ANNOUNCE_INTERVAL = 0.02
_SAVE_INTERVAL = 1.0


class Announced(NamedTuple):
    """What was announced last, by the number in the subject, with its sequence."""

    by_number: dict[int, tuple[Announcement, int]]

    @classmethod
    async def read(cls, js: JetStreamContext) -> "Announced":
        async def last(number: int) -> tuple[Announcement, int] | None:
            try:
                found = await js.get_last_msg(streams.SHAPES.name, subjects.shape_position(number))
            except NotFoundError:
                return None
            return Announcement.model_validate_json(found.data or b""), found.seq or 0

        found = await asyncio.gather(*map(last, range(SLICES)))
        return cls({number: one for number, one in enumerate(found) if one is not None})

    @property
    def epoch(self) -> int:
        return max((said.epoch for said, _ in self.by_number.values()), default=0)

    def sequence(self, number: int) -> int:
        return self.by_number[number][1] if number in self.by_number else 0

    def floor(self, slices: Collection[int], changes_id: str) -> int:
        """The highest LSN that was said of these slices, while CHANGES was what it is."""
        said = (one for one, _ in self.by_number.values() if one.changes_id == changes_id)
        return max((one.lsn for one in said if set(one.slices) & set(slices)), default=0)


class Announcements:
    """One term's. `moved` may be called at any rate; `before`: what was announced before."""

    def __init__(self, js: JetStreamContext, slices: Slices, changes_id: str, before: Announced, delay: float) -> None:
        self._js = js
        self._slices = slices
        self._changes_id = changes_id
        self.floor = before.floor(slices.numbers, changes_id)
        self._sequence = before.sequence(slices.numbers[0])
        self._announced = -1
        self._delay = delay
        self._position: Position | None = None
        self._aged: deque[tuple[float, Position]] = deque()
        self._to_announce = asyncio.Event()

    def moved(self, position: Position) -> None:
        """Everything up to the position is appended and acked."""
        if position != self._position:
            self._position = position
            self._to_announce.set()

    async def begin(self) -> None:
        """Before anything of this term is appended."""
        await self._publish(self.floor)

    async def announce(self) -> None:
        while True:
            await self._to_announce.wait()
            self._to_announce.clear()
            position = self._position
            if position is not None and position.lsn > self._announced:
                await self._publish(position.lsn)
            await asyncio.sleep(_ANNOUNCE_INTERVAL)

    async def save(self, unseen: Unseen) -> None:
        saved = None
        while True:
            await asyncio.sleep(_SAVE_INTERVAL)
            if (position := self._due(time.monotonic())) is not None and position != saved:
                # Newer ones do no harm in it; those at or before the position are all there.
                await self._slices.save(position.model_copy(update={"unseen": await unseen.left()}))
                saved = position

    def _due(self, now: float) -> Position | None:
        """The newest position that is old enough."""
        if self._position is not None and (not self._aged or self._aged[-1][1] != self._position):
            self._aged.append((now, self._position))
        while len(self._aged) > 1 and now - self._aged[1][0] >= self._delay:
            self._aged.popleft()
        return self._aged[0][1] if self._aged and now - self._aged[0][0] >= self._delay else None

    async def _publish(self, lsn: int) -> None:
        """Raises nats.js.errors.APIError when another worker announced meanwhile."""
        numbers = self._slices.numbers
        said = Announcement(changes_id=self._changes_id, epoch=self._slices.epoch, slices=numbers, lsn=lsn)
        named = {headers.ROLLUP: "sub", headers.EXPECTED_LAST_SUBJECT_SEQUENCE: str(self._sequence)}
        payload = said.model_dump_json().encode()
        acked = await self._js.publish(subjects.shape_position(numbers[0]), payload, headers=named)
        self._announced, self._sequence = lsn, acked.seq
