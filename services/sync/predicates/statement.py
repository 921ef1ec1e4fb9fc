"""The one question that a round asks Postgres about a table: for which rows is which clause true. Pure.

    WITH rows AS MATERIALIZED (the rows' values, each made of its text as its type's input function makes it)
    SELECT … clauses that stand alone: of each row, the numbers of those that are true
    UNION ALL SELECT … of each template, of each row, the numbers of the sets of constants for which it is true

A clause is evaluated above a fence (OFFSET 0), so on the rows that it is asked about and no others; so is what it
computes of a row, where that is done once for many sets (`sides`). It sees its columns as `FROM table` shows them;
every other name in the statement begins with a sign that no column's begins with.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from medley.contracts.shapes import ClauseColumn
from services.sync.predicates.sets import Writer, record_set, together
from services.sync.predicates.units import Alike, Asked, Unit

Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Question:
    """`sql` with the values of its parameters, and which of what was asked stands where in the answer."""

    sql: str
    values: tuple[str, ...]
    alone: tuple[int, ...]
    """The answer's number of a clause that stands alone → its place among what was asked."""
    sets: tuple[tuple[int, ...], ...]
    """Template → set, from 1 → its place among what was asked."""
    rows: int
    """How many it is about."""


def question(table: str, rows: Sequence[Row], asked: Sequence[Asked]) -> Question:
    """Its answer has rows `(template, row, numbers)`: the clauses that are true for the row, of template -1 those that
    stand alone, of another one its sets. Rows and sets count from 1."""
    columns = {column.name: column for one in asked for column in one.unit.columns}
    writer = Writer(table, columns)
    alike: dict[tuple[Alike, bool], list[int]] = defaultdict(list)
    for place, one in enumerate(asked):
        alike[one.unit.alike, one.rows is not None].append(place)
    alone: list[int] = []
    branches: list[str] = []
    sets: list[tuple[int, ...]] = []
    writer.values.append(_json([[row.get(name) for name in columns] for row in rows], writer.plain))
    _rows(columns.values(), writer)
    for (_, limited), places in alike.items():
        if len(places) == 1 and not limited:
            alone += places
            continue
        branches.append(together(len(sets), [asked[place] for place in places], writer))
        sets.append(tuple(places))
    if alone or not branches:
        branches.insert(0, _alone([asked[place].unit for place in alone], writer))
    sql = "WITH " + ",\n".join(writer.tables) + "\n" + "\nUNION ALL\n".join(branches)
    return Question(sql, tuple(writer.values), tuple(alone), tuple(sets), len(rows))


def _json(values: Sequence[Sequence[str | None]], key: Callable[[int], str]) -> str:
    return orjson.dumps([{key(place): value for place, value in enumerate(row)} for row in values]).decode()


def _rows(columns: Iterable[ClauseColumn], writer: Writer) -> None:
    fields = {writer.column(column.name): (column.type_sql, column.made_of_text) for column in columns}
    made = record_set(1, [(name, *field) for name, field in fields.items()], writer.number)
    writer.tables.append(f"{writer.rows} AS MATERIALIZED ({made})")


def _alone(units: Sequence[Unit], writer: Writer) -> str:
    """Many clauses of one pass over the rows."""
    # The largest first: a whole row is then in the order of the table.
    largest = sorted((unit.columns for unit in units), key=len, reverse=True)
    columns = list({column.name: column for listed in largest for column in listed}.values())
    whens = ", ".join(
        f"CASE WHEN {unit.template.literal(unit.constants)} THEN {number} END" for number, unit in enumerate(units)
    )
    numbers = f"pg_catalog.array_remove(ARRAY[{whens}]::pg_catalog.int4[], NULL)"
    return (
        f"SELECT -1, {writer.row}.{writer.number}, {writer.verdict} FROM (SELECT {writer.row}.{writer.number},"
        f" {numbers} AS {writer.verdict} FROM {writer.rows} AS {writer.row} {writer.shown(columns)} OFFSET 0)"
        f" AS {writer.row} WHERE {writer.verdict} <> '{{}}'"
    )
