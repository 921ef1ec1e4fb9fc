"""The generations of shapes, from their records in any order. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from medley.contracts.shapes import ShapeRecord


class Generations(NamedTuple):
    """Of one shape. `later`: those whose snapshot is whole, in the order in which they were made."""

    first: ShapeRecord
    later: tuple[ShapeRecord, ...] = ()

    @property
    def served(self) -> ShapeRecord:
        """What clients are given who come now."""
        return self.later[-1] if self.later else self.first


def grouped(records: Iterable[ShapeRecord]) -> list[Generations]:
    """Of one definition (two workers may have made a shape each) only the shape that was made last. A later generation
    without a first one is in none."""
    first: dict[object, ShapeRecord] = {}
    later: dict[str, list[ShapeRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.snapshot_end, record.made)):
        if record.continued is None:
            first[record.definition] = record
        elif record.state == "ready":
            later[record.log].append(record)
    return [Generations(record, tuple(later[record.handle])) for record in first.values()]
