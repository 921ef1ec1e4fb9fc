"""Which workers of sync there are, and which slices each should have. Pure but for the clock it is given.

Every worker hears the heartbeats of all. Two may disagree for a moment about who is there: then both may want a slice,
and the record of the slice decides (`slices.py`).
"""

from collections.abc import Iterable

from medley.contracts.shapes import Heartbeat
from medley.contracts.slices import SLICES

GONE = 4.0
"""Seconds of silence after which a worker counts as gone."""


def share(workers: Iterable[str], worker: str) -> tuple[int, ...]:
    """The slices of one of the workers: all have as many, but for one more or less."""
    order = sorted(workers)
    return tuple(range(order.index(worker), SLICES, len(order)))


class Members:
    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._heard: dict[str, tuple[float, Heartbeat]] = {}

    def heard(self, beat: Heartbeat, now: float) -> None:
        if beat.worker == self.worker:
            return
        if beat.leaving:
            self._heard.pop(beat.worker, None)
        else:
            self._heard[beat.worker] = (now, beat)

    def others(self, now: float) -> list[Heartbeat]:
        """What the others said last who are there."""
        self._heard = {name: one for name, one in self._heard.items() if now - one[0] < GONE}
        return [beat for _, beat in self._heard.values()]

    def wanted(self, now: float) -> tuple[int, ...]:
        """The slices that this worker should have."""
        return share([self.worker, *(beat.worker for beat in self.others(now))], self.worker)

    def owner(self, number: int, now: float) -> str | None:
        """Another worker that feeds the slice."""
        feeding = [beat for beat in self.others(now) if number in beat.slices]
        return max(feeding, key=lambda beat: beat.epoch).worker if feeding else None

    def usurper(self, slices: Iterable[int], epoch: int, now: float) -> str | None:
        """A worker that has taken one of these slices since they were taken here."""
        mine = set(slices)
        later = (beat.worker for beat in self.others(now) if beat.epoch > epoch and mine & set(beat.slices))
        return next(later, None)
