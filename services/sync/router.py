"""Which shapes a change may concern: look-ups of its values, never a scan of shapes. Pure.

Tables go by their OID, which a rename does not change. A shape of a table is either in the list of whole-table shapes,
or at the places of its clause: the values that some columns must have, and among those with the same, where a range, a
prefix or what a value contains puts it. A shape that is returned still decides for itself what the change means.
Shapes whose clauses Postgres decides have a router of their own (`predicates.tier`): it finds the rows that they are
asked about.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from services.sync.lookups import Lookup
from services.sync.where import AnyOf, Form, Place, Where

Row = Mapping[str, str | None]


class Routed(Protocol):
    @property
    def where(self) -> object: ...


S = TypeVar("S", bound=Routed)


class _Equal(Generic[S]):
    """The shapes whose clauses compare the same columns, by the values that they want."""

    def __init__(self, form: Form) -> None:
        self.key_of = form.key_of
        # Most changes concern none: a set tells that by one reach into memory, a dict by two or three.
        self.keys: set[Hashable] = set()
        self.shapes: dict[Hashable, S | list[S]] = {}
        """A list only of those that want the same."""

    def add(self, key: Hashable, _: Any, shape: S) -> None:
        there = self.shapes.get(key)
        if there is None:
            self.keys.add(key)
            self.shapes[key] = shape
        elif isinstance(there, list):
            there.append(shape)
        else:
            self.shapes[key] = [there, shape]

    def remove(self, key: Hashable, _: Any, shape: S) -> None:
        there = self.shapes[key]
        if not isinstance(there, list):
            self.keys.remove(key)
            del self.shapes[key]
            return
        there.remove(shape)
        if len(there) == 1:
            self.shapes[key] = there[0]

    def find(self, row: Row, into: list[list[S]]) -> None:
        key = self.key_of(row)
        if key in self.keys:
            into.append(_listed(self.shapes[key]))

    def all(self) -> Iterable[list[S]]:
        return map(_listed, self.shapes.values())


def _listed(shapes: S | list[S]) -> list[S]:
    return shapes if isinstance(shapes, list) else [shapes]


class _Refined(Generic[S]):
    """The same, and among those that want the same values, by another condition."""

    def __init__(self, form: Form, lookup: Lookup) -> None:
        self.key_of = form.key_of
        self.lookup, self.column = lookup, lookup.column
        self.shapes: dict[Hashable, Any] = {}

    def add(self, key: Hashable, place: Any, shape: S) -> None:
        structure = self.shapes.get(key)
        if structure is None:
            structure = self.shapes[key] = self.lookup.structure()
        structure.add(place, shape)

    def remove(self, key: Hashable, place: Any, shape: S) -> None:
        structure = self.shapes[key]
        structure.remove(place, shape)
        if not structure:
            del self.shapes[key]

    def find(self, row: Row, into: list[list[S]]) -> None:
        text = row.get(self.column)
        if text is not None and (structure := self.shapes.get(self.key_of(row))) is not None:
            structure.within(text, into)

    def all(self) -> Iterable[list[S]]:
        return [shapes for structure in self.shapes.values() for shapes in structure.all()]


class Router(Generic[S]):
    def __init__(self) -> None:
        self._whole: dict[int, list[S]] = {}
        self._indexes: dict[int, dict[tuple[Form, Lookup | None], _Equal[S] | _Refined[S]]] = {}

    def add(self, relation: int, shape: S) -> None:
        if shape.where is None:
            self._whole.setdefault(relation, []).append(shape)
        for form, key, lookup, place in _places(shape.where):
            indexes = self._indexes.setdefault(relation, {})
            index = indexes.get((form, lookup))
            if index is None:
                index = indexes[form, lookup] = _Equal(form) if lookup is None else _Refined(form, lookup)
            index.add(key, place, shape)

    def remove(self, relation: int, shape: S) -> None:
        """Forget the shape; no change reaches it any more."""
        if shape.where is None:
            self._whole[relation].remove(shape)
        for form, key, lookup, place in _places(shape.where):
            index = self._indexes[relation][form, lookup]
            index.remove(key, place, shape)
            if not index.shapes:
                del self._indexes[relation][form, lookup]
                if not self._indexes[relation]:
                    del self._indexes[relation]

    def concerned(self, relation: int, *rows: Row | None) -> list[S]:
        """The shapes that any of the rows (the old, the new) may be in; each once."""
        return [*self._whole.get(relation, ()), *self.found(relation, *rows)]

    def whole(self, relation: int) -> Sequence[S]:
        """Those that are found by no value: every row may be in them."""
        return self._whole.get(relation, ())

    def found(self, relation: int, *rows: Row | None) -> Iterable[S]:
        """Those that are found by values of the rows; each once."""
        indexes = self._indexes.get(relation)
        if indexes is None:
            return ()
        hits: list[list[S]] = []
        for index in indexes.values():
            for row in rows:
                if row is not None:
                    index.find(row, hits)
        if len(hits) <= 1:
            return hits[0] if hits else ()
        return {id(shape): shape for shapes in hits for shape in shapes}.values()

    def routes(self, relation: int) -> bool:
        """Whether any are found by values."""
        return relation in self._indexes

    def routed(self, relation: int) -> list[S]:
        """All that are found by values; each once."""
        indexes = self._indexes.get(relation, {})
        found = {id(shape): shape for index in indexes.values() for shapes in index.all() for shape in shapes}
        return list(found.values())


def _places(where: object) -> Iterable[Place]:
    """Where a clause is in the index."""
    return where.places() if isinstance(where, Where | AnyOf) else ()
