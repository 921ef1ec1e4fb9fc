"""The later generations of this worker's shapes, by the first one's handle: they go on with its log. Pure."""

from collections.abc import Iterator, Sequence

from medley.contracts.shapes import ShapeRecord


class Later:
    """In the order in which they were made; one that is being made is known, and not among them."""

    def __init__(self) -> None:
        self._of: dict[str, list[ShapeRecord]] = {}
        self._first: dict[str, str] = {}

    def making(self, record: ShapeRecord) -> None:
        self._first[record.handle] = record.log

    def add(self, record: ShapeRecord) -> None:
        """Its snapshot is whole."""
        self._first[record.handle] = record.log
        self._of.setdefault(record.log, []).append(record)

    def remove(self, handle: str) -> None:
        first = self._first.pop(handle, handle)
        self._of[first] = [record for record in self._of.get(first, ()) if record.handle != handle]
        if not self._of[first]:
            del self._of[first]

    def first(self, handle: str) -> str:
        """The handle of the first generation; its own for any that is not a later one's."""
        return self._first.get(handle, handle)

    def of(self, first: str) -> Sequence[ShapeRecord]:
        return self._of.get(first, ())

    def last(self, first: str) -> ShapeRecord | None:
        """What clients are given who come now."""
        found = self._of.get(first)
        return found[-1] if found else None

    def all(self) -> Iterator[tuple[str, Sequence[ShapeRecord]]]:
        """Of those shapes that have any."""
        yield from list(self._of.items())
