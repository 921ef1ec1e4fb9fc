"""What cannot be a shape is refused in the words that clients know (protocol section 1.8); what can be is opened."""

import asyncio
import secrets
from typing import Any

import pytest
import pytest_asyncio

from tests.support.library import until
from tests.support.shapes import Refusal, Shapes

NOT_THERE = (
    'Table "public"."{t}" does not exist. If the table name contains capitals or special characters you must quote it.'
)


@pytest_asyncio.fixture
async def table(shapes: Shapes) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, tenant int, done bool NOT NULL, tags text[], mood text)"
    )
    await shapes.database.execute(f"INSERT INTO {name} VALUES (1, 7, true, '{{}}', NULL), (2, 7, false, '{{}}', 'm')")
    return name


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"columns": ("tenant",)}, "columns", "The list of columns must include all primary key columns, missing: id"),
        ({"columns": ("id", "x")}, "columns", "The following columns are not found on the table: x"),
        ({"columns": ("x", "y")}, "columns", "The following columns are not found on the table: x, y"),
        ({"where": "x = 1"}, "where", "At location 0: unknown reference x"),
        ({"where": "tenant = 7 AND nope"}, "where", "At location 15: unknown reference nope"),
        ({"where": '"Tenant" = 7'}, "where", "At location 0: unknown reference Tenant"),
        ({"where": "tenant"}, "where", "WHERE clause must return a boolean"),
        ({"where": "tags"}, "where", "WHERE clause must return a boolean"),
        ({"where": "1"}, "where", "WHERE clause must return a boolean"),
    ],
)
async def test_the_texts_of_refusals(shapes: Shapes, table: str, asked: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await shapes.open(table, **asked)
    assert refusal.value.errors == {field: [text]}


@pytest.mark.parametrize(("schema", "name"), [("public", "nope"), ("public", "Capitals"), ("no such", "x"), ("", "")])
async def test_a_table_that_is_not_there(shapes: Shapes, schema: str, name: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await shapes.open(name, schema)
    [text] = refusal.value.errors["table"]
    assert text == NOT_THERE.format(t=name).replace('"public"', f'"{schema}"')


async def test_catalogues_are_no_tables_to_follow(shapes: Shapes) -> None:
    with pytest.raises(Refusal) as refusal:
        await shapes.open("pg_class", "pg_catalog")
    assert list(refusal.value.errors) == ["table"]


@pytest.mark.parametrize(
    ("where", "params", "ids"),
    [
        ("true", (), {"1", "2"}),
        ("TRUE = true", (), {"1", "2"}),
        ("1 = 1 AND tenant = 7", (), {"1", "2"}),
        ("'a' = $1", ("a",), {"1", "2"}),
        ("done", (), {"1"}),
        ('("done") AND tenant = $1', ("7",), {"1"}),
        ("done = false", (), {"2"}),
    ],
)
async def test_conditions_without_a_comparison(
    shapes: Shapes, table: str, where: str, params: tuple[str, ...], ids: set[str]
) -> None:
    shape = await shapes.open(table, where=where, params=params)
    assert {row["value"]["id"] for row in await shape.snapshot()} == ids
    await shapes.database.execute(f"UPDATE {table} SET done = NOT done")
    await shapes.caught_up()
    operations = {entry["value"]["id"]: entry["headers"]["operation"] for entry in await shape.log()}
    moved = {"1": "delete", "2": "insert"} if ids == {"1"} else {"1": "insert", "2": "delete"}
    assert operations == ({"1": "update", "2": "update"} if ids == {"1", "2"} else moved)


@pytest.mark.parametrize("where", ["false", "1 = 2", "true = false AND done", "NULL", "NOT (1 < 2) AND tenant = 7"])
async def test_a_clause_that_nothing_matches_is_an_empty_shape(shapes: Shapes, table: str, where: str) -> None:
    shape = await shapes.open(table, where=where)
    assert await shape.snapshot() == []
    await shapes.database.execute(f"UPDATE {table} SET done = NOT done")
    await shapes.caught_up()
    assert await shape.log() == []


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"where": "tenant = $2", "params": ("1",)}, "params", "At location 9: parameter $2 was not provided"),
        ({"where": "tenant = $1", "params": ("1", "2")}, "params", "parameter $2 is not used in the where clause"),
        ({"where": "tenant = $1", "params": ("x",)}, "where", 'invalid input syntax for type integer: "x"'),
        ({"where": "tenant > "}, "where", "unexpected end of the clause"),
        ({"where": "tenant > now()"}, "where", "operator does not exist"),
        ({"where": "random() > 0.5"}, "where", "function random() is not immutable"),
        ({"where": "1 / 0 = 1"}, "where", "division by zero"),
        ({"where": "10 / (tenant - 7) = 1"}, "where", "division by zero"),
        ({"where": "id IN (SELECT 1)"}, "where", "a subquery that reads no table is not supported in a where clause"),
    ],
)
async def test_clauses_that_postgres_refuses(
    shapes: Shapes, table: str, asked: dict[str, Any], field: str, text: str
) -> None:
    """The last but one is only found out while the rows are exported: it is refused once that was tried."""

    async def refused() -> bool:
        reply = await shapes.ask(table, **asked)
        return text in (reply.errors.get(field) or [""])[0]

    await until(refused, f"{asked} is refused with {text}")


async def test_what_is_withheld_is_refused(shapes: Shapes) -> None:
    with pytest.raises(Refusal) as refused:
        await shapes.open("media_blob_bytes")
    assert "never published" in refused.value.errors["table"][0]
    entry = "SELECT count(*) FROM pg_publication_tables WHERE tablename = 'media_blob_bytes'"
    assert await shapes.database.fetchval(entry) == 0


async def test_a_locked_table_keeps_nobody_else_waiting(shapes: Shapes, table: str) -> None:
    other = f"{table}_other"
    await shapes.database.execute(f"CREATE TABLE {other} (id int PRIMARY KEY)")
    async with shapes.database.transaction():
        await shapes.database.execute(f"LOCK TABLE {table}")
        waiting = [asyncio.create_task(shapes.open(table, where=f"id = {number}")) for number in range(20)]
        await shapes.open(other)
        assert not any(task.done() for task in waiting)
    for opened in await asyncio.gather(*waiting):
        assert opened.record.definition.table == table
