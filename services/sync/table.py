"""A table and a shape's columns of it, as values, and the texts of the refusals that clients know. Pure.

Sources: protocol sections 1.8 (texts) and 3 (schema header).
"""

from dataclasses import dataclass
from typing import Any

from medley.contracts.shapes import Column, ShapeDefinition
from medley.sql.quoting import quote_identifier

_LENGTHS = {"varchar": "max_length", "bpchar": "length", "bit": "length", "varbit": "length"}
_PRECISIONS = {"time", "timetz", "timestamp", "timestamptz"}
_HEADER = 4  # bytes that varlena type modifiers count in


class Refused(Exception):
    """The caller asked for something that cannot be; `errors` is by parameter."""

    def __init__(self, field: str, *texts: str) -> None:
        super().__init__(f"{field}: {', '.join(texts)}")
        self.errors = {field: list(texts)}


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column with what the schema header and the where clause need to know of its type."""

    column: Column
    type_name: str
    """pg_type's name; of an array, its element's."""
    type_sql: str
    """The type as SQL names it: qualified, quoted, without modifiers."""
    dims: int
    deterministic: bool


@dataclass(frozen=True, slots=True)
class Table:
    oid: int
    schema: str
    name: str
    partitioned: bool
    full_identity: bool
    publication_entry: int | None
    """OID of its place in the publication; another one after it was taken out and put in again."""
    virtual: bool
    """It has virtual generated columns, which no replication stream can hold."""
    partitions: str
    """A digest of which they are, and in which files."""
    late_key: bool
    """Its primary key is deferrable."""
    columns: tuple[ColumnFacts, ...]

    @property
    def published(self) -> bool:
        return self.publication_entry is not None

    @property
    def sql(self) -> str:
        """As FROM, LOCK and ADD TABLE name it: its own rows, not those of tables that inherit from it."""
        name = f"{quote_identifier(self.schema)}.{quote_identifier(self.name)}"
        return name if self.partitioned else f"ONLY {name}"

    @property
    def primary_key(self) -> tuple[str, ...]:
        keyed = [c.column for c in self.columns if c.column.pk_index is not None]
        return tuple(c.name for c in sorted(keyed, key=lambda c: c.pk_index or 0))


def select_columns(table: Table, definition: ShapeDefinition) -> tuple[ColumnFacts, ...]:
    """The shape's columns in the table's order. Raises Refused for unknown columns or a missing key column."""
    if definition.columns is None:
        return table.columns
    names = {facts.column.name for facts in table.columns}
    if unknown := [name for name in definition.columns if name not in names]:
        raise Refused("columns", f"The following columns are not found on the table: {', '.join(unknown)}")
    if missing := [name for name in table.primary_key if name not in definition.columns]:
        raise Refused(
            "columns", f"The list of columns must include all primary key columns, missing: {', '.join(missing)}"
        )
    return tuple(facts for facts in table.columns if facts.column.name in definition.columns)


def protocol_schema(columns: tuple[ColumnFacts, ...]) -> dict[str, dict[str, Any]]:
    """The `electric-schema` header (protocol section 3)."""
    return {facts.column.name: _column_schema(facts) for facts in columns}


def _column_schema(facts: ColumnFacts) -> dict[str, Any]:
    column = facts.column
    described: dict[str, Any] = {"type": facts.type_name}
    if facts.dims:
        described["dims"] = facts.dims
    described.update(_modifier(facts.type_name, column.modifier))
    if column.pk_index is not None:
        described["pk_index"] = column.pk_index
    if column.not_null:
        described["not_null"] = True
    return described


def _modifier(type_name: str, modifier: int) -> dict[str, Any]:
    if modifier < 0:
        return {}
    if type_name in ("varchar", "bpchar"):
        return {_LENGTHS[type_name]: modifier - _HEADER}
    if type_name in ("bit", "varbit"):
        return {_LENGTHS[type_name]: modifier}
    if type_name in _PRECISIONS:
        return {"precision": modifier}
    if type_name == "numeric":
        packed = modifier - _HEADER
        return {"precision": packed >> 16 & 0xFFFF, "scale": ((packed & 0x7FF) ^ 1024) - 1024}
    if type_name == "interval":
        return _interval(modifier)
    return {"type_mod": modifier}


_FIELDS = {2: "MONTH", 4: "YEAR", 8: "DAY", 1024: "HOUR", 2048: "MINUTE", 4096: "SECOND"}
_RANGES = {
    6: "YEAR TO MONTH",
    1032: "DAY TO HOUR",
    3080: "DAY TO MINUTE",
    7176: "DAY TO SECOND",
    3072: "HOUR TO MINUTE",
    7168: "HOUR TO SECOND",
    6144: "MINUTE TO SECOND",
}


def _interval(modifier: int) -> dict[str, Any]:
    """INTERVAL's modifier: fields in the upper half (src/include/utils/timestamp.h), precision in the lower."""
    mask, precision = modifier >> 16 & 0x7FFF, modifier & 0xFFFF
    described: dict[str, Any] = {}
    if fields := {**_FIELDS, **_RANGES}.get(mask):
        described["fields"] = fields
    if precision != 0xFFFF:
        described["precision"] = precision
    return described
