"""Subqueries that are refused, or fail on some row: whoever asks is told why, and other shapes go on."""

import secrets
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from tests.support.library import until
from tests.support.shapes import Shapes

_NESTED = "EXISTS (SELECT FROM {{s}}.links WHERE {})"


class Schema(NamedTuple):
    shapes: Shapes
    name: str

    async def refusal(self, where: str, *params: str) -> str:
        reply = await self.shapes.ask("songs", self.name, where=where.format(s=self.name), params=params)
        return "; ".join(text for texts in reply.errors.values() for text in texts)


@pytest.fixture
async def schema(shapes: Shapes) -> AsyncIterator[Schema]:
    name = f"s_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"CREATE SCHEMA {name}; CREATE TABLE {name}.songs (id int PRIMARY KEY, title text, day date);"
        f"CREATE TABLE {name}.links (song int, list int, PRIMARY KEY (song, list));"
        f"CREATE UNLOGGED TABLE {name}.brief (id int);"
        f"CREATE VIEW {name}.seen AS SELECT id FROM {name}.songs; CREATE TYPE {name}.own AS (a int);"
        f"INSERT INTO {name}.songs SELECT i, 'song ' || i FROM generate_series(1, 9) i;"
        f"INSERT INTO {name}.links SELECT i, i % 3 FROM generate_series(1, 9) i"
    )
    yield Schema(shapes, name)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("id IN (SELECT nope FROM {s}.links)", "unknown reference nope"),
        ("id IN (SELECT song FROM {s}.nope)", "unknown reference"),
        ("id IN (SELECT song, list FROM {s}.links)", "subquery has too many columns"),
        ("title IN (SELECT song FROM {s}.links)", "operator does not exist: text = integer"),
        ("id IN (SELECT song FROM {s}.links", "is not closed"),
        ("id IN (SELECT song FROM {s}.links))", 'unexpected ")"'),
        ("id IN (SELECT song FROM {s}.links; SELECT 1)", 'unexpected ";"'),
        ("(SELECT song FROM {s}.links) = id", "use IN or EXISTS"),
        ("id IN (SELECT max(song) FROM {s}.links)", "an aggregate is not supported"),
        ("id IN (SELECT song FROM {s}.links GROUP BY song)", ""),
        ("id IN (SELECT song FROM {s}.links LIMIT 1)", "LIMIT is not supported"),
        ("id IN (SELECT song FROM {s}.links, {s}.songs)", "more than one plain table"),
        ("id IN (SELECT song FROM {s}.links JOIN {s}.songs ON true)", "a join"),
        ("id IN (SELECT song FROM {s}.links WHERE now() > day)", "function now() is not immutable"),
        ("id IN (SELECT song FROM {s}.links WHERE random() > 1)", "function random() is not immutable"),
        ("day > 'yesterday' AND id IN (SELECT song FROM {s}.links)", "a shape cannot follow the clock"),
        ("id IN (SELECT oid::int FROM pg_class)", "pg_class, which is not a table that can be followed"),
        ("id IN (SELECT id FROM {s}.seen)", "is not a table"),
        ("id IN (SELECT id FROM {s}.brief)", "unlogged or temporary"),
        ("id IN (SELECT 1 FROM media_blob_bytes)", "never published"),
        ("EXISTS (SELECT nope FROM media_blob_bytes)", "never published"),
        ("id IN (SELECT DISTINCT ON (list) song FROM {s}.links)", "DISTINCT ON is not supported"),
        ("title <> 'now' AND '2020-01-01'::timestamptz < 'now' AND EXISTS (SELECT FROM {s}.links)", "follow the clock"),
        ("EXISTS (SELECT 1)", "reads no table is not supported"),
        (
            _NESTED.format(_NESTED.format(_NESTED.format(_NESTED.format(_NESTED.format("true"))))),
            "more than 4 subqueries",
        ),
        ("songs IN (SELECT songs FROM {s}.songs)", "the whole row as one value"),
        ("id IN (SELECT song FROM {s}.links WHERE ctid = '(0,1)')", "system columns"),
        ("id IN (SELECT song FROM {s}.links FOR UPDATE)", "FOR UPDATE"),
        ("id IN (WITH x AS (DELETE FROM {s}.links RETURNING song) SELECT song FROM x)", ""),
        ("id IN (SELECT 1 UNION SELECT 2)", ""),
    ],
)
async def test_what_is_said(schema: Schema, where: str, said: str) -> None:
    text = await schema.refusal(where)
    assert text
    assert said in text


async def test_params_in_a_subquery_are_counted(schema: Schema) -> None:
    where = "id IN (SELECT song FROM {s}.links WHERE list = $2)"
    assert "parameter $1 is not used" in await schema.refusal(where, "1", "2")
    assert "parameter $2 was not provided" in await schema.refusal(where, "1")
    assert 'invalid input syntax for type integer: "x"' in await schema.refusal(where.replace("$2", "$1"), "x")


async def test_one_that_raises_ends_alone(schema: Schema) -> None:
    shapes, name = schema.shapes, schema.name
    failing = await shapes.open("songs", name, where=f"id IN (SELECT 10 / list FROM {name}.links WHERE list <> 0)")
    fine = await shapes.open("songs", name, where=f"id IN (SELECT song FROM {name}.links WHERE list = 1)")
    await failing.snapshot()
    await fine.snapshot()
    await shapes.database.execute(f"INSERT INTO {name}.links VALUES (8, 1)")
    await shapes.caught_up()
    assert await shapes.is_open(failing.handle)
    raising = await shapes.open("songs", name, where=f"id IN (SELECT 10 / (list - 7) FROM {name}.links)")
    await raising.snapshot()
    await shapes.database.execute(f"INSERT INTO {name}.links VALUES (6, 7)")
    await shapes.caught_up()
    assert not await shapes.is_open(raising.handle)
    assert await shapes.is_open(fine.handle)
    assert "division by zero" in await schema.refusal("id IN (SELECT 10 / (list - 7) FROM {s}.links)")
    await shapes.database.execute(f"INSERT INTO {name}.links VALUES (9, 1)")
    await shapes.caught_up()
    assert [message["value"]["id"] for message in await fine.log()] == ["8", "9"]


async def test_a_function_that_is_replaced_ends_the_shape(schema: Schema) -> None:
    shapes, name = schema.shapes, schema.name
    body = f"CREATE OR REPLACE FUNCTION {name}.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + "
    await shapes.database.execute(f"{body}0'")
    opened = await shapes.open("songs", name, where=f"id IN (SELECT {name}.f(song) FROM {name}.links WHERE list = 1)")
    await opened.snapshot()
    await shapes.database.execute(f"{body}1'; INSERT INTO {name}.links VALUES (5, 1)")

    async def gone() -> bool:
        return not await shapes.is_open(opened.handle)

    await until(gone, "the shape has ended")
    assert await opened.log() == []
