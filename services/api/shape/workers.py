"""The workers of sync, by their heartbeats: whether shapes are fed, and changes captured. Pure but for the clock."""

import time

from medley.contracts.shapes import Heartbeat
from medley.contracts.slices import SLICES

_VALID = 3.0  # seconds without a heartbeat after which a worker counts as gone
_MOST = 256


class Workers:
    def __init__(self) -> None:
        self._beats: dict[str, tuple[float, Heartbeat]] = {}
        """The last one of each worker, and when it came; the oldest first."""

    def heard(self, beat: Heartbeat) -> None:
        self._beats.pop(beat.worker, None)
        if not beat.leaving:
            self._beats[beat.worker] = (time.monotonic(), beat)
        while len(self._beats) > _MOST:
            del self._beats[next(iter(self._beats))]

    @property
    def state(self) -> str:
        """`active`, `starting` while some shapes are fed by nobody yet, `waiting` while nobody captures changes."""
        valid = time.monotonic() - _VALID
        beats = [beat for heard, beat in self._beats.values() if heard > valid]
        if not any(beat.capturing for beat in beats):
            return "waiting"
        return "active" if len({number for beat in beats for number in beat.slices}) == SLICES else "starting"
