"""Clauses that fail on some rows, are too slow, or stand on what is altered: their shapes end, and no other does."""

import asyncio
import secrets

import pytest

from tests.support.library import until
from tests.support.shapes import OpenShape, Refusal, Shapes


async def ends(shapes: Shapes, shape: OpenShape) -> None:
    async def gone() -> bool:
        return not await shapes.is_open(shape.handle)

    await until(gone, f"the shape of {shape.record.definition.where} ends")


async def a_schema(shapes: Shapes) -> str:
    name = f"s_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"""CREATE SCHEMA {name}; CREATE TYPE {name}.mood AS ENUM ('sad', 'ok');
        CREATE DOMAIN {name}.small AS int CHECK (VALUE < 1000);
        CREATE COLLATION {name}.plain (locale = 'C');
        CREATE FUNCTION {name}.fits(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 1';
        CREATE FUNCTION {name}.slow(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
            'BEGIN IF $1 = ''slow'' THEN PERFORM pg_sleep(60); END IF; RETURN true; END';
        CREATE FUNCTION {name}.raises(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
            'BEGIN IF $1 = ''bad'' THEN RAISE ''not this one'' USING ERRCODE = ''08006''; END IF; RETURN true; END';
        CREATE TABLE {name}.t (id int PRIMARY KEY, v int, w text, mood {name}.mood, small {name}.small);
        INSERT INTO {name}.t VALUES (1, 1, '1', 'ok', 1), (2, 2, '2', 'sad', 2)"""
    )
    return name


async def ids(shape: OpenShape) -> list[str]:
    """What it holds."""
    found = {message["value"]["id"] for message in await shape.snapshot()}
    for message in await shape.log():
        key = message["value"]["id"]
        (found.discard if message["headers"]["operation"] == "delete" else found.add)(key)
    return sorted(found)


async def test_shapes_that_are_asked_for_at_once_stand_for_themselves(shapes: Shapes) -> None:
    """They are made together: one of them fails on a row, and one reads its rows for a minute."""
    schema = await a_schema(shapes)
    await shapes.database.execute(f"INSERT INTO {schema}.t SELECT n, n, 'slow' FROM generate_series(3, 40) n")
    slow = asyncio.create_task(shapes.open("t", schema, where=f"{schema}.slow(w) AND v > 2"))
    failing = "10 / (v - 20) < 100"
    asked = [*(f"v = {n}" for n in range(1, 11)), failing, *(f"v = {n}" for n in range(11, 21)), f"NOT ({failing})"]
    opened = await asyncio.gather(*(shapes.open("t", schema, where=where) for where in asked))
    for where, shape in zip(asked, opened, strict=True):
        if "/" in where:
            await ends(shapes, shape)
        else:
            assert await ids(shape) == [where.removeprefix("v = ")]
    with pytest.raises(Refusal, match="division by zero"):
        await shapes.open("t", schema, where=failing)
    assert (await slow).record.state == "snapshotting"
    assert await shapes.is_open((await slow).handle)


async def test_a_session_that_ends_is_no_fault_of_the_clause(shapes: Shapes) -> None:
    schema = await a_schema(shapes)
    await shapes.database.execute(f"INSERT INTO {schema}.t VALUES (3, 3, 'slow')")
    where = f"{schema}.slow(w) AND v > 2"
    shape = await shapes.open("t", schema, where=where)

    async def ended() -> bool:
        found = f"FROM pg_stat_activity WHERE query LIKE 'COPY%{schema}%slow%'"
        return bool(await shapes.database.fetchval(f"SELECT pg_terminate_backend(pid) {found}"))

    await until(ended, "the session that reads its rows is ended")
    await ends(shapes, shape)
    assert (await shapes.open("t", schema, where=where)).handle != shape.handle


@pytest.mark.parametrize(
    ("where", "change", "text"),
    [
        ("10 / v = 5", "INSERT INTO {s}.t VALUES (3, 0)", 'division by zero, at row "{s}"."t"/"3"'),
        ("w::int = 1", "UPDATE {s}.t SET w = 'x' WHERE id = 2", 'integer: "x", at row "{s}"."t"/"2"'),
        ("(w || '1')::jsonb = '11'", "INSERT INTO {s}.t (id, w) VALUES (4, '{{')", 'json, at row "{s}"."t"/"4"'),
        ("{s}.raises(w)", "INSERT INTO {s}.t (id, w) VALUES (5, 'bad')", 'not this one, at row "{s}"."t"/"5"'),
        ("v * 1000000000 = 1", "UPDATE {s}.t SET v = 9 WHERE id = 1", 'out of range, at row "{s}"."t"/"1"'),
    ],
)
async def test_a_clause_that_raises_on_a_row(shapes: Shapes, where: str, change: str, text: str) -> None:
    schema = await a_schema(shapes)
    if "1000000000" in where:
        await shapes.database.execute(f"UPDATE {schema}.t SET v = 1")
    failing = await shapes.open("t", schema, where=where.format(s=schema))
    alike = await shapes.open("t", schema, where=where.format(s=schema), replica="full")
    others = [await shapes.open("t", schema, where=clause) for clause in ("v >= 0", "w IS NULL OR v IS NOT NULL")]
    for shape in (failing, alike, *others):
        await shape.parts()
    await shapes.database.execute(change.format(s=schema))
    for shape in (failing, alike):
        await ends(shapes, shape)
        reply = await shapes.ask("t", schema, **shape.record.definition.model_dump(include={"where", "replica"}))
        assert reply.errors["where"][0].endswith(text.format(s=schema))
    await shapes.database.execute(f"UPDATE {schema}.t SET v = 4 WHERE id = 2")
    await shapes.caught_up()
    for shape in others:
        assert await shapes.is_open(shape.handle)
        where = shape.record.definition.where or ""
        rows = await shapes.database.fetch(f"SELECT id::text FROM {schema}.t WHERE {where} ORDER BY 1")
        assert await ids(shape) == [row["id"] for row in rows]


async def test_a_slow_clause_is_refused_and_stops_nobody(shapes: Shapes) -> None:
    schema = await a_schema(shapes)
    slow = await shapes.open("t", schema, where=f"{schema}.slow(w)")
    other = await shapes.open("t", schema, where="v > 1 AND v < 100")
    for shape in (slow, other):
        await shape.parts()
    await shapes.database.execute(f"INSERT INTO {schema}.t VALUES (3, 3, 'slow')")
    await ends(shapes, slow)
    reply = await shapes.ask("t", schema, where=f"{schema}.slow(w)")
    assert "takes longer than" in reply.errors["where"][0]
    await shapes.caught_up()
    assert await ids(other) == ["2", "3"]


@pytest.mark.parametrize(
    ("where", "statement"),
    [
        (
            "{s}.fits(v)",
            "CREATE OR REPLACE FUNCTION {s}.fits(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 2'",
        ),
        (
            "mood = 'ok'",
            "ALTER TYPE {s}.mood RENAME VALUE 'ok' TO 'fine'; ALTER TYPE {s}.mood RENAME VALUE 'sad' TO 'ok'",
        ),
        ("mood > 'sad'", "ALTER TYPE {s}.mood ADD VALUE 'first' BEFORE 'sad'"),
        ("small > 1", "ALTER DOMAIN {s}.small DROP CONSTRAINT small_check"),
        ("w > '1'", "ALTER TABLE {s}.t ALTER w TYPE text COLLATE {s}.plain"),
        ("v > 1", "ALTER TABLE {s}.t ALTER v TYPE text USING (9 - v)::text"),
    ],
)
@pytest.mark.parametrize("with_change", [False, True])
async def test_what_a_clause_stands_on_is_altered(
    shapes: Shapes, where: str, statement: str, with_change: bool
) -> None:
    """The shape ends, and what is opened then is right; one that does not stand on it goes on."""
    schema = await a_schema(shapes)
    shape = await shapes.open("t", schema, columns=("id",), where=where.format(s=schema))
    other = await shapes.open("t", schema, columns=("id",), where="id < 100 AND id > 0")
    for one in (shape, other):
        await one.parts()
    await shapes.database.execute(statement.format(s=schema))
    if with_change:
        await shapes.database.execute(f"INSERT INTO {schema}.t (id) VALUES (7)")
    await ends(shapes, shape)
    if "TYPE text USING" not in statement:
        again = await shapes.open("t", schema, columns=("id",), where=where.format(s=schema))
        rows = await shapes.database.fetch(f"SELECT id::text FROM {schema}.t WHERE {where.format(s=schema)} ORDER BY 1")
        assert await ids(again) == [row["id"] for row in rows]
    assert await shapes.is_open(other.handle)
