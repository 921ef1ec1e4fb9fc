"""Clauses alike but for their constants, over the same tables: one question is asked for all of them. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

from medley.clauses.form import Form, Subquery, form
from medley.contracts.shapes import ClauseColumn, ClauseTable, ShapeRecord
from medley.sql.quoting import quote_identifier
from services.sync.predicates.template import Template, template

_COLUMN = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")


@dataclass(eq=False)
class Family:
    """`own` is the shapes' table as one that is read; `tables` are those of the subqueries, it may be among them.
    Compared by identity: `Families` makes one of each."""

    template: Template
    own: ClauseTable
    tables: tuple[ClauseTable, ...]

    @cached_property
    def form(self) -> Form:
        """The clause, with the columns of a set in the place of constants."""
        return form(self.template.filled(tuple(f"{self.set}.{one}" for one in self.constants)))

    @property
    def constants(self) -> tuple[str, ...]:
        return tuple(self.name(f"c{place}") for place in range(len(self.template.types)))

    @property
    def set(self) -> str:
        return self.name("set")

    def name(self, text: str) -> str:
        """A quoted name that hides none of the clause's own."""
        return quote_identifier(self._sign + text)

    @cached_property
    def probe(self) -> Subquery | None:
        """A subquery that must hold for a row of a shape, and that compares columns alone: its table is asked for the
        rows that match one, and these lead to the shapes."""
        return next((one for one in self.form.subqueries if one.required and self._compares_columns(one)), None)

    def _compares_columns(self, one: Subquery) -> bool:
        return (
            bool(one.lefts)
            and all(_COLUMN.fullmatch(text) for text in (*one.lefts, *one.targets))
            and all(text.startswith(f"{one.alias}.") for text in one.targets)
        )

    def table(self, subquery: Subquery) -> ClauseTable:
        return self._by_name[subquery.schema or "", subquery.table]

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], ClauseTable]:
        return {(one.schema_name, one.name): one for one in self.tables}

    @cached_property
    def _sign(self) -> str:
        taken = tuple(self._taken())
        sign = "~"
        while any(name.startswith(sign) for name in taken):
            sign += "~"
        return sign

    def _taken(self) -> Iterator[str]:
        for table in (self.own, *self.tables):
            yield table.name
            yield from (column.name for column in table.columns)
        for one in form(self.template.filled(tuple("NULL" for _ in self.template.types))).walk():
            yield one.alias


class Families:
    """Those that are in use, one for all clauses that are alike."""

    def __init__(self) -> None:
        self._families: WeakValueDictionary[Any, Family] = WeakValueDictionary()

    def of(self, record: ShapeRecord) -> tuple[Family, tuple[str, ...]]:
        """The family of a shape's clause, and its constants."""
        predicate = record.predicate
        assert predicate is not None
        keyed = sorted((c.pk_index, c.name) for c in record.columns if c.pk_index is not None)
        own = ClauseTable(
            oid=record.relation_oid,
            schema_name=record.definition.schema_name,
            name=record.definition.table,
            partitioned=predicate.partitioned,
            publication_entry=record.publication_entry,
            columns=predicate.columns,
            key=tuple(name for _, name in keyed),
        )
        taken, constants = template(predicate.sql)
        key = (taken, own, predicate.tables)
        family = self._families.get(key)
        if family is None:
            family = self._families[key] = Family(taken, own, predicate.tables)
        return family, constants


def column_names(table: ClauseTable) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def columns_of(table: ClauseTable) -> frozenset[tuple[str, int, int]]:
    return frozenset((one.name, one.type_oid, one.modifier) for one in table.columns)


def named(column: ClauseColumn) -> str:
    return quote_identifier(column.name)
