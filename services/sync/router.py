"""Which shapes a change may concern: a hash look-up, never a scan of shapes. Pure.

Tables go by their OID, which a rename does not change. A shape of a table is either in the list of whole-table shapes,
or in the bucket of each conjunction of its clause: its columns and values. A shape that is returned still decides for
itself what the change means. Shapes whose clauses Postgres decides have a router of their own (`predicates.tier`): it
finds the rows that they are asked about.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from services.sync.where import AnyOf, Canonical, Where

Row = Mapping[str, str | None]


class Routed(Protocol):
    @property
    def where(self) -> object: ...


S = TypeVar("S", bound=Routed)


class _Index(Generic[S]):
    """The shapes whose clauses compare the same columns, by the values that they want."""

    def __init__(self, columns: tuple[str, ...], canonical: tuple[Canonical, ...]) -> None:
        self.probe = Where(columns, (), canonical)
        self.shapes: dict[tuple[str, ...], list[S]] = {}


class Router(Generic[S]):
    def __init__(self) -> None:
        self._whole: dict[int, list[S]] = {}
        self._indexes: dict[int, dict[tuple[str, ...], _Index[S]]] = {}

    def add(self, relation: int, shape: S) -> None:
        if shape.where is None:
            self._whole.setdefault(relation, []).append(shape)
        for probe, values in _places(shape.where):
            indexes = self._indexes.setdefault(relation, {})
            index = indexes.setdefault(probe.columns, _Index(probe.columns, probe.canonical))
            for wanted in values:
                index.shapes.setdefault(wanted, []).append(shape)

    def remove(self, relation: int, shape: S) -> None:
        """Forget the shape; no change reaches it any more."""
        if shape.where is None:
            self._whole[relation].remove(shape)
        for probe, values in _places(shape.where):
            index = self._indexes[relation][probe.columns]
            for wanted in values:
                index.shapes[wanted].remove(shape)
                if not index.shapes[wanted]:
                    del index.shapes[wanted]
            if not index.shapes:
                del self._indexes[relation][probe.columns]

    def concerned(self, relation: int, *rows: Row | None) -> list[S]:
        """The shapes that any of the rows (the old, the new) may be in; each once."""
        return [*self._whole.get(relation, ()), *self.found(relation, *rows)]

    def whole(self, relation: int) -> Sequence[S]:
        """Those that are found by no value: every row may be in them."""
        return self._whole.get(relation, ())

    def found(self, relation: int, *rows: Row | None) -> Iterable[S]:
        """Those that are found by values of the rows; each once."""
        hits: list[list[S]] = []
        for index in self._indexes.get(relation, {}).values():
            seen: list[tuple[str, ...]] = []
            for row in rows:
                key = index.probe.key_of(row) if row is not None else None
                if key is not None and key not in seen:
                    seen.append(key)
                    if key in index.shapes:
                        hits.append(index.shapes[key])
        if len(hits) <= 1:
            return hits[0] if hits else ()
        return {id(shape): shape for shapes in hits for shape in shapes}.values()

    def all_of(self, relation: int) -> list[S]:
        """Every shape of the table that is routed at all."""
        found = {id(shape): shape for shape in self._whole.get(relation, ())}
        for index in self._indexes.get(relation, {}).values():
            found.update((id(shape), shape) for shapes in index.shapes.values() for shape in shapes)
        return list(found.values())


def _places(where: object) -> Iterable[tuple[Where, Iterable[tuple[str, ...]]]]:
    """Where a clause is in the index: columns, and the values that it wants of them."""
    if isinstance(where, Where) and not where.never:
        return [(where, [where.values])]
    return where.groups if isinstance(where, AnyOf) else ()
