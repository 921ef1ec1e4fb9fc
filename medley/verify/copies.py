"""Compares a client's copy, rows as JSON objects in a file, with what SELECT says now.

A value may be the text that shapes carry, or what a client made of it: Postgres reads it as the column's type and
writes it again, and then texts are compared. A system under writes is ahead of any file.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg

from medley.contracts.row_key import RowKey
from medley.contracts.shapes import Column
from medley.runtime.errors import ConfigurationError
from medley.sql.quoting import quote_identifier, quote_literal
from medley.verify.database import SQL, Database, Relation
from medley.verify.findings import Finding, Tally
from medley.verify.held import Held
from medley.verify.pace import Pace
from medley.verify.rows import Comparison, selected

_BATCH = 200
_REMEDY = "let the client fetch the shape again, if it was up to date"
Json = dict[str, Any]


def rows_of(path: Path) -> Iterator[Json]:
    """One object a line, or one array of objects. Raises ConfigurationError."""
    try:
        with path.open(encoding="utf-8") as file:
            first = file.read(1)
            while first.isspace():
                first = file.read(1)
            file.seek(0)
            objects = json.load(file) if first == "[" else (json.loads(line) for line in file if line.strip())
            for number, row in enumerate(objects, 1):
                if not isinstance(row, dict):
                    raise ConfigurationError(f"{path}: row {number} is {type(row).__name__}, needed an object")
                yield row.get("value", row) if "headers" in row else row
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as rows in JSON: {error}") from error


async def verify(
    database: Database, path: Path, table: str, where: str | None, pace: Pace, step: Callable[[int], None]
) -> list[Finding]:
    """Columns are those of the first row. Raises ConfigurationError when file, table and clause do not fit."""
    try:
        async with database.moment():
            relation, every = await _table(database, table)
            columns = _fitting(path, table, every, next(rows_of(path), None))
            return await _compare(database, path, relation, columns, where, pace, step)
    except (asyncpg.SyntaxOrAccessError, asyncpg.DataError) as error:
        raise ConfigurationError(f"Postgres refuses the table, the clause or a value: {error}") from error


async def _compare(
    database: Database,
    path: Path,
    relation: Relation,
    columns: list[tuple[Column, bool]],
    where: str | None,
    pace: Pace,
    step: Callable[[int], None],
) -> list[Finding]:
    tally, shown = Tally(), [column for column, _ in columns]
    key = RowKey(relation.schema, relation.name, shown)
    with Held([column.name for column in shown]) as held:
        async for row in _normalised(database, relation, columns, rows_of(path)):
            name = key.of(row)
            if not held.insert(name, row) and key.primary:
                held.only_once(name)
                tally.add(Finding("copy", "doubled entry", str(path), name, "the row twice", "once", _REMEDY))
            step(1)
            await pace.spend(1)
        comparison = Comparison("copy", str(path), key, shown, held, _REMEDY)
        async for rows in database.rows(selected(relation.sql, relation.name, shown, where)):
            for values in rows:
                tally.all(comparison.row(values))
            await pace.spend(len(rows))
        tally.all(comparison.finish())
    return tally.findings()


def _fitting(path: Path, table: str, every: list[tuple[Column, bool]], first: Json | None) -> list[tuple[Column, bool]]:
    """The columns that the rows have. Raises ConfigurationError without the primary key. Pure."""
    if first is None:
        return every
    shown = [one for one in every if one[0].name in first]
    lacking = [column.name for column, _ in every if column.pk_index is not None and column.name not in first]
    if lacking or not shown:
        names = ", ".join(lacking) or "every column"
        raise ConfigurationError(f"{path}: its first row lacks {names} of {table}; a copy has the primary key")
    return shown


async def _table(database: Database, table: str) -> tuple[Relation, list[tuple[Column, bool]]]:
    oid = await database.reader.fetchval(SQL["relation_named"], table)
    relation = await database.relation(oid) if oid is not None else None
    if relation is None:
        raise ConfigurationError(f"no table {table} in the database; write it as SQL does")
    columns = []
    for row in await database.reader.fetch(SQL["columns"], relation.oid):
        facts = dict(row)
        columns.append((Column(**{name: facts[name] for name in facts if name != "json"}), facts["json"]))
    return relation, columns


async def _normalised(
    database: Database, relation: Relation, columns: Sequence[tuple[Column, bool]], rows: Iterator[Json]
) -> AsyncIterator[dict[str, str | None]]:
    """As Postgres writes them."""
    query = _reading(relation, columns)
    names = [column.name for column, _ in columns]
    documents = {column.name for column, is_json in columns if is_json}
    while batch := list(islice(rows, _BATCH)):
        asked = [
            {name: _parsed(row.get(name)) if name in documents else row.get(name) for name in names} for row in batch
        ]
        for one in await database.reader.fetch(query, json.dumps(asked)):
            yield dict(zip(names, one["row"], strict=True))


def _parsed(value: Any) -> Any:
    """A JSON column's value as text is the value, as shapes write it."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _reading(relation: Relation, columns: Sequence[tuple[Column, bool]]) -> str:
    """$1: an array of objects. A text for each column, since the output functions are what shapes carry."""
    name = f"{quote_identifier(relation.schema)}.{quote_identifier(relation.name)}"
    texts = ", ".join(
        f"CASE WHEN a.o -> {quote_literal(column.name)} <> 'null'"
        f" THEN format('%s', (t.r).{quote_identifier(column.name)}) END"
        for column, _ in columns
    )
    return (
        f"SELECT ARRAY[{texts}] AS row FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS a (o, n),"
        f" LATERAL (SELECT jsonb_populate_record(NULL::{name}, a.o) AS r OFFSET 0) AS t ORDER BY a.n"
    )
