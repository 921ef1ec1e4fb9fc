"""Tables as they were, as SQL: rows of now without those made since, and those back that went. Pure.

Values travel as JSON and are made by their types' input functions, as in `predicates.statement`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from medley.contracts.shapes import ClauseColumn, ClauseTable
from medley.sql.quoting import quote_identifier
from services.sync.related.asof import Image, Undo
from services.sync.related.family import Family, named

_GUESSED = 100  # rows that Postgres expects of a function that returns any number

Field = tuple[str, str, bool]
"""(name, type, whether it is made of text by a cast)"""


def source(table: ClauseTable) -> str:
    """The table's own rows, not those of tables that inherit from it."""
    name = f"{quote_identifier(table.schema_name)}.{quote_identifier(table.name)}"
    return name if table.partitioned else f"ONLY {name}"


def whole(alias: str, columns: Iterable[ClauseColumn]) -> str:
    """The row's image as one text."""
    return f"ROW({', '.join(f'{alias}.{named(column)}' for column in columns)})::pg_catalog.text"


class Relations:
    """Collects the CTEs and parameters of one statement."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.ctes: list[str] = []
        self.values: list[str] = []
        self._made: dict[tuple[int, str], str] = {}

    def records(self, name: str, fields: Sequence[Field], rows: Sequence[Sequence[Any]], extra: str = "") -> str:
        """A CTE of these rows, typed. `extra`: further columns, made of those."""
        keys = [f"v{place}" for place in range(len(fields))]
        record = ", ".join(
            f"{key} {'text' if of_text else kind}" for key, (_, kind, of_text) in zip(keys, fields, strict=True)
        )
        listed = ", ".join(
            f"x.{key}{f'::{kind}' if of_text else ''} AS {quote_identifier(column)}"
            for key, (column, kind, of_text) in zip(keys, fields, strict=True)
        )
        read, limit = self._read([dict(zip(keys, row, strict=True)) for row in rows], record)
        quoted = self.family.name(name)
        self.ctes.append(
            f"{quoted} AS MATERIALIZED (SELECT *{extra} FROM (SELECT {listed} FROM {read} OFFSET 0 LIMIT {limit}) AS x)"
        )
        return quoted

    def _read(self, rows: list[dict[str, Any]], record: str) -> tuple[str, str]:
        """A FROM of the rows, and its LIMIT. Both tell the planner how many there are: it takes any list for 100."""
        value: list[Any] = rows
        if len(rows) > _GUESSED:
            value = [rows[start : start + _GUESSED] for start in range(0, len(rows), _GUESSED)]
        self.values.append(orjson.dumps(value).decode())
        parameter = f"${len(self.values)}::pg_catalog.json"
        limit = next((str(most) for most in (1, 10) if len(rows) <= most), "ALL")
        if len(rows) <= _GUESSED:
            return f"pg_catalog.json_to_recordset({parameter}) AS x ({record})", limit
        parts = "10" if len(value) <= 10 else "ALL"
        return (
            f"(SELECT p.part FROM pg_catalog.json_array_elements({parameter}) AS p (part) LIMIT {parts}) AS p"
            f" CROSS JOIN LATERAL pg_catalog.json_to_recordset(p.part) AS x ({record})"
        ), limit

    def images(self, name: str, table: ClauseTable, images: Sequence[Image]) -> str:
        return self.records(name, _fields(table), images)

    def at(self, moment: str, table: ClauseTable, undo: Undo) -> str:
        """The table at a moment, for a FROM; the moment names what it needs."""
        if not undo:
            return source(table)
        key = (table.oid, moment)
        if key not in self._made:
            self._made[key] = self._at(f"{moment}{table.oid}", table, undo)
        return self._made[key]

    def _at(self, name: str, table: ClauseTable, undo: Undo) -> str:
        columns = ", ".join(named(column) for column in table.columns)
        parts = [f"SELECT {columns} FROM {source(table)} AS x"]
        if undo.made:
            image, times = self.family.name("image"), self.family.name("times")
            made = self.records(
                f"made_{name}",
                [*_fields(table), (self.family.name("times").strip('"'), "int4", False)],
                [(*one, number) for one, number in undo.made.items()],
                extra=f", {whole('x', table.columns)} AS {image}",
            )
            found = f"{whole('x', table.columns)} = m.{image}"
            parts[0] += f" WHERE NOT EXISTS (SELECT FROM {made} AS m WHERE {found})"
            if not table.key:
                count = f"(SELECT pg_catalog.count(*) FROM {source(table)} AS x WHERE {found})"
                copies = f"pg_catalog.generate_series(1, {count} - m.{times}) AS c ({self.family.name('copy')})"
                parts.append(f"SELECT {columns} FROM {made} AS m CROSS JOIN LATERAL {copies}")
        if undo.restored:
            parts.append(f"SELECT {columns} FROM {self.images(f'restored_{name}', table, undo.restored)} AS x")
        return f"({' UNION ALL '.join(parts)})"


def _fields(table: ClauseTable) -> list[Field]:
    return [(column.name, column.type_sql, column.made_of_text) for column in table.columns]
