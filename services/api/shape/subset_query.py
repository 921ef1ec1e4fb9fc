"""The statement of a subset: the shape's columns of those of its rows that the request's clause accepts. Pure.

    SELECT shape's columns
    FROM (SELECT usable columns FROM table WHERE shape's own clause) AS "table"
    WHERE the request's clause ORDER BY … LIMIT … OFFSET …

The clause sees what it was judged with: the usable columns, under the table's name. Where it could raise an error that
tells of a row outside of the shape, such rows are filtered away first, as a security barrier would do it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from medley.clauses.text import Clause, Written
from medley.sql.quoting import quote_identifier, quote_literal

_FENCE = " OFFSET 0"  # Postgres evaluates nothing from outside below it


@dataclass(frozen=True, slots=True)
class Source:
    """The shape's rows: the table, its usable columns, and the shape's own clause as SQL."""

    schema: str
    table: str
    partitioned: bool
    usable: tuple[str, ...]
    own: str | None

    def sql(self, *, fenced: bool) -> str:
        columns = ", ".join(map(quote_identifier, self.usable))
        relation = f"{quote_identifier(self.schema)}.{quote_identifier(self.table)}"
        where = f" WHERE {self.own}{_FENCE if fenced else ''}" if self.own else ""
        rows = f"SELECT {columns} FROM {relation if self.partitioned else f'ONLY {relation}'}{where}"
        return f"({rows}) AS {quote_identifier(self.table)}"


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql`, and where the clause stands in it."""

    sql: str
    clause: Clause | None
    written: Written | None
    start: int

    def location(self, at: int) -> int | None:
        """From a place in the statement to one in the request's clause; None for any other place."""
        if self.written is None or not self.start <= at < self.start + len(self.written.sql):
            return None
        return self.written.place(at - self.start)


def statement(
    source: Source,
    columns: Sequence[str],
    clause: tuple[Clause, Written] | None,
    order: str,
    limit: int | None,
    offset: int | None,
    *,
    fenced: bool,
) -> Statement:
    table = quote_identifier(source.table)
    shown = ", ".join(f"{table}.{quote_identifier(column)}" for column in columns)
    sql = f"SELECT {shown} FROM {source.sql(fenced=fenced)}"
    start = 0
    if clause is not None:
        sql += " WHERE (\n"
        start = len(sql)
        sql += f"{clause[1].sql}\n)"
    sql += f" ORDER BY {order}" if order else ""
    sql += f" LIMIT {limit:d}" if limit is not None else ""
    sql += f" OFFSET {offset:d}" if offset is not None else ""
    return Statement(sql, clause[0] if clause else None, clause[1] if clause else None, start)


def conditions_sql(conditions: Sequence[tuple[str, str, str]]) -> str:
    """The shape's own conditions (column, type, constant), joined by AND."""
    return " AND ".join(f"{quote_identifier(column)} = {quote_literal(constant)}" for column, _, constant in conditions)
