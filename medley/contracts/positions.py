"""What was announced of each slice, as whoever reads `shapes.position.*` keeps it. Pure."""

from medley.contracts.shapes import Announcement
from medley.contracts.slices import SLICES, slice_of


class Positions:
    """By slice; an announcement of an epoch that is over changes nothing."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[int, int]] = {}

    def hear(self, said: Announcement) -> None:
        """In any order: within an epoch, positions only grow."""
        for number in said.slices:
            self._said[number] = max(self._said.get(number, (0, 0)), (said.epoch, said.lsn))

    def of(self, handle: str) -> int:
        """No entry of the shape's log that is still to come is at or below this LSN; 0 before anything was said."""
        return self._said.get(slice_of(handle), (0, 0))[1]

    def of_all(self) -> int:
        """The same of every shape."""
        return min(lsn for _, lsn in self._said.values()) if len(self._said) == SLICES else 0
