"""A shape's record as sync keeps it in memory: what many shapes have in common is there once. Pure.

A hundred thousand shapes that differ in a constant differ in a handle, the constant and a snapshot. The record itself,
as the registry and clients want it, is made again when somebody asks.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from sys import intern
from typing import Any
from weakref import WeakValueDictionary

from medley.contracts.shapes import (
    ClauseColumn,
    ClauseObject,
    ClauseTable,
    Column,
    Predicate,
    ShapeDefinition,
    ShapeRecord,
    Tier,
)
from medley.sql.visibility import Snapshot
from services.sync.conditions import Equal
from services.sync.entries import Clause, Encoder
from services.sync.predicates.alternatives import Index
from services.sync.predicates.index import index
from services.sync.related.conditions import shown


class Common:
    """What shapes have in common that differ in their constants alone."""

    def __init__(self, record: ShapeRecord) -> None:
        self.record = record
        """Without what each has of its own."""
        self.table = f"{record.definition.schema_name}.{record.definition.table}"
        self.shown = [[column.name, column.type_oid, column.modifier] for column in record.columns]
        self.all_columns = record.definition.columns is None
        predicate = record.predicate
        self.named: tuple[ClauseColumn, ...] = predicate.columns if predicate is not None else ()
        self.objects: tuple[ClauseObject, ...] = predicate.objects if predicate is not None else ()
        self.tables: tuple[ClauseTable, ...] = predicate.tables if predicate is not None else ()
        self.type_texts = record.type_texts
        self._columns: Sequence[Any] | None = None
        self._fits = False

    @property
    def relations(self) -> set[int]:
        """The table's OID, and those of the tables that are read."""
        return {self.record.relation_oid, *(one.oid for one in self.tables)}

    def fits(self, oid: int, columns: list[list[Any]]) -> bool:
        """Whether the table still is what the shapes were made for: same table, and the columns that they show or that
        their clauses name. A message's columns are compared once for all of them."""
        if oid != self.record.relation_oid:
            return False
        if columns is not self._columns:
            self._columns, self._fits = columns, self._has(columns)
        return self._fits

    def _has(self, columns: list[list[Any]]) -> bool:
        there = {(name, oid, modifier) for name, oid, modifier in columns}
        if not all((one.name, one.type_oid, one.modifier) in there for one in self.named):
            return False
        return self.shown == columns if self.all_columns else all(column in columns for column in self.shown)

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(self.record, None)


_COMMON: WeakValueDictionary[str, Common] = WeakValueDictionary()


class Kept:
    """What of a record is its own, and the rest by reference."""

    __slots__ = ("common", "conditions", "handle", "params", "snapshot", "snapshot_bytes", "sql", "state", "where")

    def __init__(self, record: ShapeRecord) -> None:
        definition, predicate = record.definition, record.predicate
        self.common = _common(record)
        self.handle, self.state = record.handle, record.state
        self.where = intern(definition.where) if definition.where is not None else None
        self.params = definition.params
        self.snapshot = Snapshot(*record.snapshot)
        self.snapshot_bytes = record.snapshot_bytes
        same = {text: text for text in definition.params}
        self.conditions = _interned(record.conditions, same) if record.conditions is not None else None
        self.sql = predicate.sql if predicate is not None else ""

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.common.record.columns

    @property
    def relation_oid(self) -> int:
        return self.common.record.relation_oid

    @property
    def partitions(self) -> str:
        return self.common.record.partitions

    @property
    def late_key(self) -> bool:
        return self.common.record.late_key

    @property
    def publication_entry(self) -> int:
        return self.common.record.publication_entry

    @property
    def tier(self) -> Tier:
        """`medley tail --explain` says the same."""
        predicate = self.common.record.predicate
        if predicate is None:
            return "index" if self.conditions else "whole"
        return predicate.tier

    @property
    def definition(self) -> ShapeDefinition:
        return self.common.record.definition.model_copy(update={"where": self.where, "params": self.params})

    @property
    def predicate(self) -> Predicate | None:
        shared = self.common.record.predicate
        if shared is None:
            return None
        return shared.model_copy(update={"sql": self.sql, "index": self._shown(shared)})

    def _shown(self, predicate: Predicate) -> tuple[str, ...]:
        if predicate.tables:
            return shown(self.sql, self.common.record.definition.table, predicate.columns, predicate.tables)
        found = Index((self.conditions,), exact=True) if self.conditions else index(self.sql, predicate.columns)
        return found.shown() if found is not None else ()

    def encoder(self, where: Clause | None) -> Encoder:
        return self.common.encoder.deciding(where)

    def whole(self) -> ShapeRecord:
        """As it came."""
        own = {name: getattr(self, name) for name in ("handle", "state", "snapshot_bytes", "definition", "predicate")}
        plain: tuple[tuple[str, str, str], ...] | None = self.conditions and tuple(
            (column, kind, text) for column, kind, text in self.conditions
        )
        return self.common.record.model_copy(update={**own, "snapshot": tuple(self.snapshot), "conditions": plain})


def _interned(conditions: Iterable[tuple[str, str, str]], same: Mapping[str, str]) -> tuple[Equal, ...]:
    """`same`: texts that are there already."""
    return tuple(Equal(intern(column), intern(kind), same.get(text, text)) for column, kind, text in conditions)


def _common(record: ShapeRecord) -> Common:
    definition = record.definition.model_copy(update={"where": None, "params": ()})
    predicate = record.predicate and record.predicate.model_copy(update={"sql": "", "index": ()})
    nobody = {"handle": "", "state": "ready", "snapshot": (0, 0, ()), "snapshot_bytes": 0, "conditions": None}
    shared = record.model_copy(update={**nobody, "definition": definition, "predicate": predicate})
    key = shared.model_dump_json()
    found = _COMMON.get(key)
    if found is None:
        found = _COMMON[key] = Common(shared)
    return found
