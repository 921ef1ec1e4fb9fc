"""The one question that a round asks Postgres about a table: for which rows is which clause true. Pure.

    WITH rows AS MATERIALIZED (the rows' values, each made of its text as its type's input function makes it)
    SELECT … clauses that stand alone: of each row, the numbers of those that are true
    UNION ALL SELECT … of each template, its sets of constants joined to the rows

A clause is evaluated above a fence (OFFSET 0), so on the rows that it is asked about and no others. It sees its columns
as `FROM table` shows them; every other name in the statement begins with a sign that no column's begins with.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from medley.contracts.shapes import ClauseColumn
from medley.sql.quoting import quote_identifier
from services.sync.predicates.template import Template

Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Unit:
    """One clause: a template, its constants, and the columns that it names."""

    template: Template
    constants: tuple[str, ...]
    columns: tuple[ClauseColumn, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A unit, and the numbers of the rows that it is asked about; None for all."""

    unit: Unit
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """`sql` with the values of its parameters, and which of what was asked stands where in the answer."""

    sql: str
    values: tuple[str, ...]
    alone: tuple[int, ...]
    """The answer's number of a clause that stands alone → its place among what was asked."""
    sets: tuple[tuple[int, ...], ...]
    """Template → set → its place among what was asked."""
    rows: int
    """How many it is about."""


def question(table: str, rows: Sequence[Row], asked: Sequence[Asked]) -> Question:
    """Its answer has rows `(template, number, numbers)`: of template -1, a row and the clauses that are true for it;
    of another one, a set and the rows for which it is true. Rows count from 1."""
    columns = {column.name: column for one in asked for column in one.unit.columns}
    names = _Names(table, columns)
    by_template: dict[tuple[Template, tuple[ClauseColumn, ...], bool], list[int]] = defaultdict(list)
    for place, one in enumerate(asked):
        by_template[one.unit.template, one.unit.columns, one.rows is not None].append(place)
    alone: list[int] = []
    branches: list[str] = []
    sets: list[tuple[int, ...]] = []
    values = [_json([[row.get(name) for name in columns] for row in rows], names.value)]
    for (_, _, limited), places in by_template.items():
        if len(places) == 1 and not limited:
            alone += places
            continue
        values.append(_sets([asked[place] for place in places], names))
        branches.append(_joined(len(sets), len(values), asked[places[0]], names))
        sets.append(tuple(places))
    if alone or not branches:
        branches.insert(0, _alone([asked[place].unit for place in alone], names))
    sql = f"WITH {_rows(columns.values(), names)}\n" + "\nUNION ALL\n".join(branches)
    return Question(sql, tuple(values), tuple(alone), tuple(sets), len(rows))


class _Names:
    """Names that hide no column of the table, nor the table."""

    def __init__(self, table: str, columns: Mapping[str, ClauseColumn]) -> None:
        self._sign = "~"
        while any(name.startswith(self._sign) for name in (table, *columns)):
            self._sign += "~"
        self.table = quote_identifier(table)
        self._value_of = {name: place for place, name in enumerate(columns)}
        self.rows, self.row, self.number = self("rows"), self("row"), self("number")
        self.set, self.limits, self.verdict = self("set"), self("limits"), self("verdict")

    def __call__(self, name: str) -> str:
        return quote_identifier(self._sign + name)

    def value(self, place: int) -> str:
        return f"{self._sign}{place}"

    def column(self, name: str) -> str:
        return quote_identifier(self.value(self._value_of[name]))

    def shown(self, columns: Sequence[ClauseColumn]) -> str:
        """The row as the clause sees it: its columns under their names, in the table's order."""
        listed = ", ".join(f"{self.row}.{self.column(c.name)} AS {quote_identifier(c.name)}" for c in columns)
        return f"CROSS JOIN LATERAL (SELECT {listed}) AS {self.table}" if columns else ""


def _json(values: Sequence[Sequence[str | None]], key: Callable[[int], str]) -> str:
    return orjson.dumps([{key(place): value for place, value in enumerate(row)} for row in values]).decode()


def _rows(columns: Iterable[ClauseColumn], names: _Names) -> str:
    """Each value by its type's input function: a record's text fields go there, but for JSON and domains over it."""
    listed = {names.column(column.name): column for column in columns}
    record = [f"{name} {'text' if c.made_of_text else c.type_sql}" for name, c in listed.items()]
    made = [f", x.{name}{f'::{c.type_sql} AS {name}' if c.made_of_text else ''}" for name, c in listed.items()]
    source = f"pg_catalog.json_to_recordset($1::pg_catalog.json) AS ({', '.join(record) or 'nothing text'})"
    return (
        f"{names.rows} AS MATERIALIZED (SELECT x.{names.number}::pg_catalog.int4{''.join(made)}"
        f" FROM ROWS FROM ({source}) WITH ORDINALITY AS x ({', '.join(listed) or 'nothing'}, {names.number}))"
    )


def _alone(units: Sequence[Unit], names: _Names) -> str:
    """Many clauses of one pass over the rows."""
    # The largest first: a whole row is then in the order of the table.
    largest = sorted((unit.columns for unit in units), key=len, reverse=True)
    columns = list({column.name: column for listed in largest for column in listed}.values())
    whens = ", ".join(
        f"CASE WHEN {unit.template.literal(unit.constants)} THEN {number} END" for number, unit in enumerate(units)
    )
    numbers = f"pg_catalog.array_remove(ARRAY[{whens}]::pg_catalog.int4[], NULL)"
    return (
        f"SELECT -1, {names.row}.{names.number}, {names.verdict} FROM (SELECT {names.row}.{names.number},"
        f" {numbers} AS {names.verdict} FROM {names.rows} AS {names.row} {names.shown(columns)} OFFSET 0)"
        f" AS {names.row} WHERE {names.verdict} <> '{{}}'"
    )


def _sets(asked: Sequence[Asked], names: _Names) -> str:
    """The constants of each set under their places, and the rows that it is asked about."""
    return orjson.dumps(
        [
            {
                "number": number,
                "limits": one.rows,
                **{names.value(place): text for place, text in enumerate(one.unit.constants)},
            }
            for number, one in enumerate(asked)
        ]
    ).decode()


def _joined(number: int, parameter: int, first: Asked, names: _Names) -> str:
    """One template: each of its sets, with all rows or with those that it names."""
    template = first.unit.template
    places = range(len(template.types))
    value = [quote_identifier(names.value(place)) for place in places]
    record = "".join(
        f", {value[place]} {'text' if template.made_of_text(place) else template.types[place]}" for place in places
    )
    made = "".join(
        f", s.{value[place]}{f'::{template.types[place]} AS {value[place]}' if template.made_of_text(place) else ''}"
        for place in places
    )
    sets = (
        f"(SELECT s.number AS {names.set}, s.limits AS {names.limits}{made} FROM"
        f" pg_catalog.json_to_recordset(${parameter}::pg_catalog.json)"
        f" AS s (number pg_catalog.int4, limits pg_catalog.int4[]{record}) OFFSET 0) AS {names.set}"
    )
    clause = template.filled(tuple(f"{names.set}.{one}" for one in value))
    rows = f"CROSS JOIN {names.rows} AS {names.row}"
    if first.rows is not None:
        limit = names("limit")
        rows = (
            f"CROSS JOIN LATERAL pg_catalog.unnest({names.set}.{names.limits}) AS {limit} ({limit})"
            f" JOIN {names.rows} AS {names.row} ON {names.row}.{names.number} = {limit}.{limit}"
        )
    return (
        f"SELECT {number}, {names.row}.{names.set}, pg_catalog.array_agg({names.row}.{names.number}) FROM"
        f" (SELECT {names.set}.{names.set}, {names.row}.{names.number}, ({clause}) AS {names.verdict}"
        f" FROM {sets} {rows} {names.shown(first.unit.columns)} OFFSET 0) AS {names.row}"
        f" WHERE {names.verdict} GROUP BY {names.row}.{names.set}"
    )
