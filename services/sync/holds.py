"""Messages that are kept for shapes while these are opened, so that they can be given those that they must not miss."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from services.sync.live import Incoming


class Holds:
    def __init__(self) -> None:
        self._holds: dict[int, list[list[Incoming]]] = {}

    @contextmanager
    def holding(self, relations: Collection[int]) -> Iterator[list[Incoming]]:
        """Keep what comes of these tables; the list grows until the block ends."""
        held: list[Incoming] = []
        for relation in relations:
            self._holds.setdefault(relation, []).append(held)
        try:
            yield held
        finally:
            for relation in relations:
                # By identity: what two openings hold may well be equal.
                others = [other for other in self._holds.pop(relation) if other is not held]
                if others:
                    self._holds[relation] = others

    def take(self, incoming: Incoming) -> None:
        for held in self._holds.get(incoming.oid, ()):
            held.append(incoming)
