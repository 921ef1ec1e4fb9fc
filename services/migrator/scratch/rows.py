"""The rows that migrations write, as statements that write them again: the same text whenever it is made.

A value that a migration does not choose (a time, a random id, the role that ran it) is another one each time. Two runs
tell which these are: where their rows differ, the database is left to choose again.
"""

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg

from medley.gate.catalogue import SESSION
from medley.runtime import statements
from medley.runtime.errors import Permanent
from medley.sql.quoting import quote_literal

SQL = statements.load(__file__)

Row = tuple[str | None, ...]
Matched = tuple["Rows", list[Row], list[Row]]
_AT_ONCE = 200
_TIMES = ("timestamp", "time", "date")
# Defaults that two runs shortly after each other, by one role, cannot tell from a constant.
_OF_TODAY = re.compile(r"(?i)\b(current_|session_user|localtime|user\b|now\(|clock_timestamp\()")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table as text, in any order; of each column its type, its default, and what that gives now."""

    table: str
    overriding: bool
    columns: tuple[str, ...]
    types: tuple[str, ...]
    defaults: tuple[str | None, ...]
    now: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a database besides its schema."""

    tables: tuple[Rows, ...] = ()
    sequences: tuple[tuple[str, int, bool], ...] = ()


async def read(connection: asyncpg.Connection) -> Written:
    """All of it, as every server prints it."""
    async with connection.transaction():
        for name, value in {**SESSION, "row_security": "off"}.items():
            await connection.fetchval("SELECT set_config($1, $2, true)", name, value)
        tables = [await _table(connection, *row) for row in await connection.fetch(SQL["tables"])]
        sequences = []
        for name, start in await connection.fetch(SQL["sequences"]):
            [(last, called)] = await connection.fetch(f"SELECT last_value, is_called FROM {name}")
            sequences += [(name, last, called)] if called or last != start else []
    return Written(tuple(table for table in tables if table.rows), tuple(sequences))


async def _table(
    connection: asyncpg.Connection,
    name: str,
    overriding: bool,
    columns: list[str],
    types: list[str],
    defaults: list[str | None],
) -> Rows:
    texts = ", ".join(f"{column}::text" for column in columns)
    rows = tuple(tuple(row) for row in await connection.fetch(f"SELECT {texts} FROM ONLY {name} ORDER BY ctid"))
    asked = [default if default and _OF_TODAY.search(default) else "NULL" for default in defaults]
    now: Row = (None,) * len(columns)
    if rows and asked.count("NULL") < len(asked):
        [found] = await connection.fetch(f"SELECT {', '.join(f'({default})::text' for default in asked)}")
        now = tuple(found)
    return Rows(name, overriding, tuple(columns), tuple(types), tuple(defaults), now, rows)


def inserts(made: Written, again: Written) -> Iterator[str]:
    """Statements for the rows of `made`, of which `again` is another run. Raises Permanent for a row that cannot be
    written so that it is the same text each time."""
    others = {table.table: table for table in again.tables}
    matched: list[Matched] = [(table, *_matched(table, others.get(table.table, table))) for table in made.tables]
    ids = _ids(matched)
    for table, rows, twins in matched:
        values = [_values(table, row, twin, ids) for row, twin in zip(rows, twins, strict=True)]
        for start in range(0, len(values), _AT_ONCE):
            yield _insert(table, values[start : start + _AT_ONCE])


def _ids(matched: Sequence[Matched]) -> dict[str, str]:
    """Random ids that several rows name have to be the same in all of them: one that their first place decides."""
    places: dict[str, list[str]] = {}
    for table, rows, twins in matched:
        for number, (row, twin) in enumerate(zip(rows, twins, strict=True)):
            for column, value, other, type_ in zip(table.columns, row, twin, table.types, strict=True):
                if value is not None and value != other and type_ == "uuid":
                    places.setdefault(value, []).append(f"medley:{table.table}.{column}/{number}")
    return {value: str(uuid.uuid5(uuid.NAMESPACE_URL, at[0])) for value, at in places.items() if len(at) > 1}


def _matched(table: Rows, other: Rows) -> tuple[list[Row], list[Row]]:
    """The rows of both in one order: by the columns that hold the same values in both."""
    if len(table.rows) != len(other.rows):
        other = table
    pairs = zip(zip(*table.rows, strict=True), zip(*other.rows, strict=True), strict=True)
    stable = [place for place, (here, there) in enumerate(pairs) if Counter(here) == Counter(there)]

    def key(row: Row) -> list[tuple[bool, str]]:
        return [(row[place] is None, row[place] or "") for place in stable]

    return sorted(table.rows, key=key), sorted(other.rows, key=key)


def _values(table: Rows, row: Row, twin: Row, ids: dict[str, str]) -> str:
    cells = zip(table.columns, row, twin, table.types, table.defaults, table.now, strict=True)
    return f"({', '.join(_cell(table.table, ids, *cell) for cell in cells)})"


def _cell(
    table: str,
    ids: dict[str, str],
    column: str,
    value: str | None,
    twin: str | None,
    type_: str,
    default: str | None,
    now: str | None,
) -> str:
    if value == twin and (value is None or value != now):
        return literal(value)
    if value in ids:
        return literal(ids[value])
    if default is not None:
        return "DEFAULT"
    if type_.startswith(_TIMES):
        return "now()"
    if type_ == "uuid":
        return "pg_catalog.gen_random_uuid()"
    raise Permanent(
        f"{table}.{column}: a migration writes another value into it each time, and init.sql is to be one text; "
        "needed: a value in the migration, or a DEFAULT of the column (by a further migration) that makes one"
    )


def _insert(table: Rows, values: Sequence[str]) -> str:
    overriding = " OVERRIDING SYSTEM VALUE" if table.overriding else ""
    lines = ",\n    ".join(values)
    return f"INSERT INTO {table.table} ({', '.join(table.columns)}){overriding} VALUES\n    {lines};"


def settings(made: Written) -> Iterator[str]:
    """Where the sequences stand: the next row must not get a number that is taken."""
    if made.sequences:
        calls = "\n".join(
            f"    PERFORM pg_catalog.setval({literal(name)}, {last}, {str(called).lower()});"
            for name, last, called in made.sequences
        )
        yield f"DO $$\nBEGIN\n{calls}\nEND $$;"


def literal(value: str | None) -> str:
    """A value, or NULL."""
    return "NULL" if value is None else quote_literal(value)
