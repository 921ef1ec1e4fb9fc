"""Which shapes a change may concern: a hash look-up, never a scan of shapes. Pure.

Tables go by their OID, which a rename does not change. Every shape of a table is in exactly one place: the list of
whole-table shapes, or the bucket of its clause's columns and values. A shape that is returned still decides for itself
what the change means. Shapes whose clauses Postgres decides are not here (`predicates`).
"""

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from services.sync.where import Canonical, Where

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
        where = shape.where
        if where is None:
            self._whole.setdefault(relation, []).append(shape)
        elif isinstance(where, Where) and not where.never:
            indexes = self._indexes.setdefault(relation, {})
            index = indexes.setdefault(where.columns, _Index(where.columns, where.canonical))
            index.shapes.setdefault(where.values, []).append(shape)

    def remove(self, relation: int, shape: S) -> None:
        """Forget the shape; no change reaches it any more."""
        where = shape.where
        if where is None:
            self._whole[relation].remove(shape)
        elif isinstance(where, Where) and not where.never:
            index = self._indexes[relation][where.columns]
            index.shapes[where.values].remove(shape)
            if not index.shapes[where.values]:
                del index.shapes[where.values]
            if not index.shapes:
                del self._indexes[relation][where.columns]

    def concerned(self, relation: int, *rows: Row | None) -> list[S]:
        """The shapes that any of the rows (the old, the new) may be in; each once."""
        found = list(self._whole.get(relation, ()))
        for index in self._indexes.get(relation, {}).values():
            seen: list[tuple[str, ...]] = []
            for row in rows:
                key = index.probe.key_of(row) if row is not None else None
                if key is not None and key not in seen:
                    seen.append(key)
                    found += index.shapes.get(key, ())
        return found

    def all_of(self, relation: int) -> list[S]:
        """Every shape of the table that is routed at all."""
        found = list(self._whole.get(relation, ()))
        for index in self._indexes.get(relation, {}).values():
            for shapes in index.shapes.values():
                found += shapes
        return found
