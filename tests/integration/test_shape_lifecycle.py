"""Tables that change, move or go while shapes of them are open: each shape that cannot go on ends, no other does, and
what is asked next is answered by what is there then."""

import asyncio
import secrets

import pytest

from medley.sql.quoting import quote_identifier
from tests.support.library import until
from tests.support.shapes import OpenShape, Refusal, Shapes


async def ends(shapes: Shapes, shape: OpenShape) -> None:
    async def gone() -> bool:
        return not await shapes.is_open(shape.handle)

    await until(gone, f"the shape of {shape.record.definition.table} ends")


async def rows(shape: OpenShape) -> list[dict[str, str | None]]:
    return sorted((message["value"] for message in await shape.snapshot()), key=repr)


async def a_schema(shapes: Shapes) -> str:
    """With `t` (id, a, b; one row) and `other`, which nothing happens to."""
    name = f"s_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"CREATE SCHEMA {name}; CREATE TABLE {name}.t (id int PRIMARY KEY, a text NOT NULL, b int);"
        f"INSERT INTO {name}.t VALUES (1, 'x', 2); CREATE TABLE {name}.other (id int PRIMARY KEY)"
    )
    return name


ROW = {"id": "1", "a": "x", "b": "2"}
NOT_THERE = (
    'Table "{s}"."t" does not exist. If the table name contains capitals or special characters you must quote it.'
)
NO_COLUMN = "The following columns are not found on the table: b"

# (what happens, statements of one transaction, the rows of all columns afterwards, or why that is refused,
#  the same of the columns (id, b), whether a shape of the columns (id, a) goes on)
CASES: list[tuple[str, str, list[dict[str, str]] | str, list[dict[str, str]] | str, bool]] = [
    ("truncated", "TRUNCATE {s}.t", [], [], False),
    ("dropped", "DROP TABLE {s}.t", NOT_THERE, NOT_THERE, False),
    ("dropped and made again", "DROP TABLE {s}.t; CREATE TABLE {s}.t (id int PRIMARY KEY, b int);"
     " INSERT INTO {s}.t VALUES (7, 8)", [{"id": "7", "b": "8"}], [{"id": "7", "b": "8"}], False),
    ("the schema dropped", "DROP SCHEMA {s} CASCADE", NOT_THERE, NOT_THERE, False),
    ("renamed", "ALTER TABLE {s}.t RENAME TO u", NOT_THERE, NOT_THERE, False),
    ("replaced by renaming", "ALTER TABLE {s}.t RENAME TO u; CREATE TABLE {s}.t (id int PRIMARY KEY, b int)",
     [], [], False),
    ("moved to another schema", "CREATE SCHEMA {s}_x; ALTER TABLE {s}.t SET SCHEMA {s}_x", NOT_THERE, NOT_THERE, False),
    ("the schema renamed", "ALTER SCHEMA {s} RENAME TO {s}_x", NOT_THERE, NOT_THERE, False),
    ("a column added", "ALTER TABLE {s}.t ADD c int DEFAULT 3", [{**ROW, "c": "3"}], [{"id": "1", "b": "2"}], True),
    ("a column dropped", "ALTER TABLE {s}.t DROP b", [{"id": "1", "a": "x"}], NO_COLUMN, True),
    ("a column renamed", "ALTER TABLE {s}.t RENAME b TO c", [{"id": "1", "a": "x", "c": "2"}], NO_COLUMN, True),
    ("a column replaced", "ALTER TABLE {s}.t DROP b; ALTER TABLE {s}.t ADD b text DEFAULT 'n'", [{**ROW, "b": "n"}],
     [{"id": "1", "b": "n"}], True),
    ("a type changed", "ALTER TABLE {s}.t ALTER b TYPE text USING b::text || '!'", [{**ROW, "b": "2!"}],
     [{"id": "1", "b": "2!"}], True),
    ("the primary key dropped", "ALTER TABLE {s}.t DROP CONSTRAINT t_pkey", [ROW], [{"id": "1", "b": "2"}], False),
    ("the primary key changed", "ALTER TABLE {s}.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, a)", [ROW],
     "The list of columns must include all primary key columns, missing: a", False),
    ("may be null", "ALTER TABLE {s}.t ALTER a DROP NOT NULL", [ROW], [{"id": "1", "b": "2"}], False),
    ("unpublished", "ALTER PUBLICATION medley DROP TABLE {s}.t", [ROW], [{"id": "1", "b": "2"}], False),
    ("its identity changed", "ALTER TABLE {s}.t REPLICA IDENTITY DEFAULT", [ROW], [{"id": "1", "b": "2"}], False),
    ("unlogged", "ALTER PUBLICATION medley DROP TABLE {s}.t; ALTER TABLE {s}.t SET UNLOGGED",
     '"{s}"."t" is unlogged or temporary: its changes leave no trace that could be followed.',
     '"{s}"."t" is unlogged or temporary: its changes leave no trace that could be followed.', False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "whole", "narrow", "kept"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_what_becomes_of_open_shapes(
    shapes: Shapes, statements: str, whole: list[dict[str, str]] | str, narrow: list[dict[str, str]] | str, kept: bool
) -> None:
    schema = await a_schema(shapes)
    of_all = await shapes.open("t", schema)
    of_b = await shapes.open("t", schema, columns=("id", "b"))
    of_a = await shapes.open("t", schema, columns=("id", "a"))
    other = await shapes.open("other", schema)
    assert await rows(of_all) == [ROW]
    for shape in (of_b, of_a, other):
        await shape.parts()
    await shapes.database.execute(f"BEGIN; {statements.format(s=schema)}; COMMIT")
    await ends(shapes, of_all)
    for columns, wanted, ended in ((None, whole, of_all), (("id", "b"), narrow, of_b)):
        if isinstance(wanted, str):
            await ends(shapes, ended)
            with pytest.raises(Refusal) as refusal:
                await shapes.open("t", schema, columns=columns)
            assert [text for texts in refusal.value.errors.values() for text in texts] == [wanted.format(s=schema)]
        else:
            again = await shapes.open("t", schema, columns=columns)
            assert await rows(again) == wanted
    assert await shapes.is_open(of_a.handle) is kept
    if "ALTER SCHEMA" not in statements and "DROP SCHEMA" not in statements:
        assert await shapes.is_open(other.handle)


TYPES = (
    "CREATE TYPE {s}.mood AS ENUM ('calm', 'wild'); CREATE TYPE {s}.pair AS (n int, m {s}.mood);"
    " CREATE DOMAIN {s}.pairs AS {s}.pair[]; ALTER TABLE {s}.t ADD m {s}.mood DEFAULT 'calm',"
    " ADD p {s}.pairs DEFAULT ARRAY[ROW(1, 'wild')]::{s}.pair[]"
)


@pytest.mark.parametrize(
    ("statement", "m", "p"),
    [
        ("ALTER TYPE {s}.mood RENAME VALUE 'calm' TO 'still'", "still", '{"(1,wild)"}'),
        ("ALTER TYPE {s}.mood RENAME VALUE 'wild' TO 'w'", "calm", '{"(1,w)"}'),
        ("ALTER TYPE {s}.pair ADD ATTRIBUTE k int", "calm", '{"(1,wild,)"}'),
        ("ALTER TYPE {s}.pair DROP ATTRIBUTE n", "calm", "{(wild)}"),
        ("ALTER TYPE {s}.mood RENAME TO temper", "calm", '{"(1,wild)"}'),
    ],
)
async def test_a_type_whose_values_are_written_otherwise(shapes: Shapes, statement: str, m: str, p: str) -> None:
    """No row changes, so nothing is in the stream; yet Postgres no longer writes the texts that clients have."""
    schema = await a_schema(shapes)
    await shapes.database.execute(TYPES.format(s=schema))
    of_all, of_a = await shapes.open("t", schema), await shapes.open("t", schema, columns=("id", "a"))
    for shape in (of_all, of_a):
        await shape.parts()
    await shapes.database.execute(statement.format(s=schema))
    await ends(shapes, of_all)
    again = await shapes.open("t", schema)
    assert await rows(again) == [{**ROW, "m": m, "p": p}]
    assert await shapes.is_open(of_a.handle)


async def test_a_label_that_is_added_is_no_reason_to_fetch_again(shapes: Shapes) -> None:
    schema = await a_schema(shapes)
    await shapes.database.execute(TYPES.format(s=schema))
    await shapes.database.execute(f"CREATE TABLE {schema}.witness (id int PRIMARY KEY, m {schema}.mood)")
    shape, witness = await shapes.open("t", schema), await shapes.open("witness", schema)
    for each in (shape, witness):
        await each.parts()
    await shapes.database.execute(f"ALTER TYPE {schema}.mood ADD VALUE 'first' BEFORE 'calm'")
    await shapes.database.execute(f"UPDATE {schema}.t SET m = 'first'; DROP TABLE {schema}.witness")
    await ends(shapes, witness)  # so the catalogue was looked at after the label came
    assert [message["value"] for message in await shape.log()] == [{"id": "1", "m": "first"}]
    assert await shapes.is_open(shape.handle)


@pytest.mark.parametrize(
    ("what", "there"), [("ADD c int DEFAULT 3", {**ROW, "c": "3"}), ("DROP b", {"id": "1", "a": "x"})]
)
async def test_a_shape_is_opened_of_the_table_that_its_snapshot_sees(
    shapes: Shapes, what: str, there: dict[str, str]
) -> None:
    """It is altered after sync has first looked at it."""
    name = await a_schema(shapes)
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass)"
    transaction = shapes.database.transaction()
    await transaction.start()
    await shapes.database.execute(f"LOCK TABLE {name}.t")
    opening = asyncio.create_task(shapes.open("t", name, where="id > 0 AND a = 'x'"))

    async def waiting() -> bool:
        return bool(await shapes.database.fetchval(waits, f"{name}.t"))

    await until(waiting, "the opening waits for the table")
    await shapes.database.execute(f"ALTER TABLE {name}.t {what}")
    await transaction.commit()
    assert await rows(await opening) == [there]


async def test_no_shape_is_given_what_comes_after_a_gap(shapes: Shapes) -> None:
    """A table is taken out of the publication, and comes back with the next shape that is asked for."""
    name = await a_schema(shapes)
    before = [await shapes.open("t", name), await shapes.open("other", name, where=f"id IN (SELECT id FROM {name}.t)")]
    await shapes.database.execute(f"ALTER PUBLICATION medley DROP TABLE {name}.t")
    await shapes.database.execute(f"UPDATE {name}.t SET b = 3")
    again = await shapes.open("t", name, where="id > 0")
    assert [await shapes.is_open(one.handle) for one in before] == [False, False]
    assert await rows(again) == [{"id": "1", "a": "x", "b": "3"}]


async def test_after_a_rename_the_new_name_is_another_shape(shapes: Shapes) -> None:
    schema = await a_schema(shapes)
    before = await shapes.open("t", schema)
    await before.parts()
    await shapes.database.execute(f"ALTER TABLE {schema}.t RENAME TO u")
    await shapes.database.execute(f"INSERT INTO {schema}.u VALUES (2, 'y', 3)")
    await ends(shapes, before)
    after = await shapes.open("u", schema)
    assert [row["id"] for row in await rows(after)] == ["1", "2"]
    await shapes.database.execute(f"DELETE FROM {schema}.u WHERE id = 1")
    await shapes.caught_up()
    [deleted] = await after.log()
    assert deleted["headers"]["relation"] == [schema, "u"]


async def test_a_shape_of_other_columns_goes_on_with_its_log(shapes: Shapes) -> None:
    """What is done to a column concerns no shape that does not show it, not even with changes before and after."""
    schema = await a_schema(shapes)
    shape = await shapes.open("t", schema, columns=("id", "a"))
    await shape.parts()
    for statement in (
        "UPDATE {s}.t SET a = 'y'",
        "ALTER TABLE {s}.t ADD c int DEFAULT 3",
        "UPDATE {s}.t SET a = 'z', c = 4",
        "ALTER TABLE {s}.t ALTER b TYPE text",
        "ALTER TABLE {s}.t RENAME b TO bb",
        "INSERT INTO {s}.t VALUES (2, 'n', 'text', 5)",
        "ALTER TABLE {s}.t DROP bb, DROP c",
        "DELETE FROM {s}.t WHERE id = 1",
    ):
        await shapes.database.execute(statement.format(s=schema))
    await shapes.caught_up()
    assert [message["value"] for message in await shape.log()] == [
        {"id": "1", "a": "y"},
        {"id": "1", "a": "z"},
        {"id": "2", "a": "n"},
        {"id": "1"},
    ]
    assert await shapes.is_open(shape.handle)


NAMES = [
    'A "quoted" one',
    "Capitals",
    "with space",
    "dot.ted",
    "sla/sh",
    "1digit",
    "größe",
    "名前",
    "a*b>c",
    "select",
    "%2E",
]


@pytest.mark.parametrize("name", NAMES)
async def test_identifiers_of_all_sorts(shapes: Shapes, name: str) -> None:
    """As the name of a schema, of a table, of its key and of another column."""
    schema = f"{name} {secrets.token_hex(3)}"
    table, column = quote_identifier(schema) + "." + quote_identifier(name), quote_identifier(name)
    await shapes.database.execute(
        f"CREATE SCHEMA {quote_identifier(schema)};"
        f"CREATE TABLE {table} ({column} int PRIMARY KEY, {quote_identifier(name + ' too')} text)"
    )
    await shapes.database.execute(f"INSERT INTO {table} VALUES (1, 'x')")
    shape = await shapes.open(name, schema)
    narrow = await shapes.open(name, schema, columns=(name,), where=f"{column} = 2")
    [row] = await shape.snapshot()
    assert row["headers"]["relation"] == [schema, name]
    assert row["value"][name] == "1"
    doubled = [each.replace(".", "..").replace("/", "//") for each in (schema, name)]
    assert row["key"] == f'"{doubled[0]}"."{doubled[1]}"/"1"'
    await narrow.parts()
    await shapes.database.execute(f"UPDATE {table} SET {column} = 2")
    await shapes.caught_up()
    assert [message["value"].get(name) for message in await shape.log()] == ["1", "2"]
    assert [message["value"] for message in await narrow.log()] == [{name: "2"}]
    await shapes.database.execute(f"DROP SCHEMA {quote_identifier(schema)} CASCADE")
    await ends(shapes, shape)
    await ends(shapes, narrow)
    with pytest.raises(Refusal, match="does not exist"):
        await shapes.open(name, schema)
