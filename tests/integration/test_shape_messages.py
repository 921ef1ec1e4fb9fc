"""Messages of the log (protocol section 1.5), as real transactions make them."""

import secrets
from typing import Any

import pytest
import pytest_asyncio

from tests.support.shapes import Message, OpenShape, Shapes


@pytest_asyncio.fixture
async def table(shapes: Shapes) -> str:
    """`id`, `owner`, `note`, `extra`; row 1 is ann's, row 2 is bob's."""
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, owner text, note text, extra text DEFAULT 'e')"
    )
    await shapes.database.execute(f"INSERT INTO {name} VALUES (1, 'ann', 'n'), (2, 'bob', 'n')")
    return name


def row(id: str, owner: str | None, note: str | None = "n", extra: str | None = "e") -> dict[str, str | None]:
    return {"id": id, "owner": owner, "note": note, "extra": extra}


async def changed(shapes: Shapes, shape: OpenShape, *statements: str) -> list[Message]:
    """What the log has after the statements, which are one transaction."""
    await shape.parts()
    await shapes.database.execute("; ".join(("BEGIN", *statements, "COMMIT")))
    await shapes.caught_up()
    return await shape.log()


def brief(message: Message) -> tuple[Any, ...]:
    """(operation, id, value, old value)."""
    operation, id = message["headers"]["operation"], message["key"].rsplit("/", 1)[1].strip('"')
    return (operation, id, message["value"], message.get("old_value"))


ANN, BOB = row("1", "ann"), row("2", "bob")
CASES: list[tuple[str, str, dict[str, Any], list[tuple[Any, ...]]]] = [
    # (what happens, the statement, the shape, the messages)
    ("insert", "INSERT INTO {t} VALUES (3, 'c', NULL, '')", {}, [("insert", "3", row("3", "c", None, ""), None)]),
    ("update", "UPDATE {t} SET note = 'x' WHERE id = 1", {}, [("update", "1", {"id": "1", "note": "x"}, None)]),
    ("to null", "UPDATE {t} SET note = NULL WHERE id = 1", {}, [("update", "1", {"id": "1", "note": None}, None)]),
    ("delete", "DELETE FROM {t} WHERE id = 1", {}, [("delete", "1", {"id": "1"}, None)]),
    ("full update", "UPDATE {t} SET note = 'x' WHERE id = 1", {"replica": "full"},
     [("update", "1", row("1", "ann", "x"), {"note": "n"})]),
    ("full delete", "DELETE FROM {t} WHERE id = 1", {"replica": "full"}, [("delete", "1", ANN, None)]),
    ("no change", "UPDATE {t} SET note = note", {}, []),
    ("no change, full", "UPDATE {t} SET note = note", {"replica": "full"}, []),
    ("not selected", "UPDATE {t} SET extra = 'z'", {"columns": ("id", "note")}, []),
    ("not selected, full", "UPDATE {t} SET extra = 'z'", {"columns": ("id", "note"), "replica": "full"}, []),
    ("selected, full", "UPDATE {t} SET extra = 'z', note = 'x' WHERE id = 1",
     {"columns": ("id", "note"), "replica": "full"},
     [("update", "1", {"id": "1", "note": "x"}, {"note": "n"})]),
    ("selected insert", "INSERT INTO {t} VALUES (3, 'c', 'n')", {"columns": ("note", "id")},
     [("insert", "3", {"id": "3", "note": "n"}, None)]),
    ("key", "UPDATE {t} SET id = 9 WHERE id = 1", {},
     [("delete", "1", {"id": "1"}, None), ("insert", "9", row("9", "ann"), None)]),
    ("key, full", "UPDATE {t} SET id = 9, note = 'x' WHERE id = 1", {"replica": "full"},
     [("delete", "1", ANN, None), ("insert", "9", row("9", "ann", "x"), None)]),
    ("key, inside", "UPDATE {t} SET id = 9 WHERE id = 1", {"where": "owner = 'ann'"},
     [("delete", "1", {"id": "1"}, None), ("insert", "9", row("9", "ann"), None)]),
    ("key, into", "UPDATE {t} SET id = 9, owner = 'ann' WHERE id = 2", {"where": "owner = 'ann'"},
     [("insert", "9", row("9", "ann"), None)]),
    ("key, out of", "UPDATE {t} SET id = 9, owner = 'bob' WHERE id = 1", {"where": "owner = 'ann'"},
     [("delete", "1", {"id": "1"}, None)]),
    ("key, outside", "UPDATE {t} SET id = 9 WHERE id = 2", {"where": "owner = 'ann'"}, []),
    ("into", "UPDATE {t} SET owner = 'ann' WHERE id = 2", {"where": "owner = 'ann'"},
     [("insert", "2", row("2", "ann"), None)]),
    ("out of", "UPDATE {t} SET owner = NULL WHERE id = 1", {"where": "owner = 'ann'"},
     [("delete", "1", {"id": "1"}, None)]),
    ("out of, full", "UPDATE {t} SET owner = NULL WHERE id = 1", {"where": "owner = 'ann'", "replica": "full"},
     [("delete", "1", ANN, None)]),
    ("outside", "UPDATE {t} SET note = 'x' WHERE id = 2", {"where": "owner = 'ann'"}, []),
    ("into, by a column that is not selected", "UPDATE {t} SET owner = 'ann' WHERE id = 2",
     {"where": "owner = 'ann'", "columns": ("id", "note")}, [("insert", "2", {"id": "2", "note": "n"}, None)]),
    ("into and out again", "UPDATE {t} SET owner = 'ann' WHERE id = 2; UPDATE {t} SET owner = 'bob' WHERE id = 2",
     {"where": "owner = 'ann'"}, [("insert", "2", row("2", "ann"), None), ("delete", "2", {"id": "2"}, None)]),
    ("rolled back", "SAVEPOINT s; DELETE FROM {t}; ROLLBACK TO s; UPDATE {t} SET note = 'x' WHERE id = 1", {},
     [("update", "1", {"id": "1", "note": "x"}, None)]),
    ("savepoint kept", "SAVEPOINT s; UPDATE {t} SET note = 'x' WHERE id = 1; RELEASE s; DELETE FROM {t} WHERE id = 2",
     {}, [("update", "1", {"id": "1", "note": "x"}, None), ("delete", "2", {"id": "2"}, None)]),
    ("on conflict", "INSERT INTO {t} VALUES (1, 'ann', 'x'), (3, 'c', 'n') ON CONFLICT (id) DO UPDATE"
     " SET note = excluded.note", {},
     [("update", "1", {"id": "1", "note": "x"}, None), ("insert", "3", row("3", "c"), None)]),
    ("on conflict do nothing", "INSERT INTO {t} VALUES (1, 'x') ON CONFLICT DO NOTHING", {}, []),
    ("merge", "MERGE INTO {t} t USING (VALUES (1, 'x'), (2, NULL), (3, 'new')) s (id, note) ON t.id = s.id"
     " WHEN MATCHED AND s.note IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET note = s.note"
     " WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'c', s.note)", {},
     [("update", "1", {"id": "1", "note": "x"}, None), ("delete", "2", {"id": "2"}, None),
      ("insert", "3", row("3", "c", "new"), None)]),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "asked", "messages"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
async def test_what_a_statement_is_for_a_shape(
    shapes: Shapes, table: str, statement: str, asked: dict[str, Any], messages: list[tuple[Any, ...]]
) -> None:
    shape = await shapes.open(table, **asked)
    found = await changed(shapes, shape, statement.format(t=table))
    assert [brief(message) for message in found] == messages
    assert [message["headers"].get("last", False) for message in found] == [False] * (len(found) - 1) + [True] * bool(
        found
    )


async def test_a_change_of_the_key_names_the_other_key(shapes: Shapes, table: str) -> None:
    shape = await shapes.open(table)
    gone, come = await changed(shapes, shape, f"UPDATE {table} SET id = 9 WHERE id = 1")
    assert gone["headers"]["key_change_to"] == come["key"] == f'"public"."{table}"/"9"'
    assert come["headers"]["key_change_from"] == gone["key"] == f'"public"."{table}"/"1"'
    assert come["headers"]["op_position"] == gone["headers"]["op_position"] + 1


async def test_positions_count_in_the_whole_transaction(shapes: Shapes, table: str) -> None:
    other = f"{table}_other"
    await shapes.database.execute(f"CREATE TABLE {other} (id int PRIMARY KEY)")
    one, two = await shapes.open(table), await shapes.open(other)
    statements = (
        f"INSERT INTO {other} VALUES (1)",
        f"UPDATE {table} SET id = 9 WHERE id = 1",
        f"INSERT INTO {other} VALUES (2)",
        f"DELETE FROM {table} WHERE id = 2",
        "SELECT txid_current()",
    )
    await one.parts()
    await two.parts()
    async with shapes.database.transaction():
        for statement in statements:
            await shapes.database.execute(statement)
        xid = await shapes.database.fetchval("SELECT txid_current() % (1::bigint << 32)")
    await shapes.caught_up()
    ours, others = await one.log(), await two.log()
    assert [message["headers"]["op_position"] for message in ours] == [2, 3, 6]
    assert [message["headers"]["op_position"] for message in others] == [0, 4]
    assert {message["headers"]["lsn"] for message in (*ours, *others)} == {ours[0]["headers"]["lsn"]}
    assert all(message["headers"]["txids"] == [xid] for message in (*ours, *others))
    assert [message["headers"].get("last") for message in ours] == [None, None, True]
    assert [message["headers"].get("last") for message in others] == [None, True]


@pytest.mark.parametrize(
    ("columns", "insert", "key"),
    [
        ("a text, b int, PRIMARY KEY (b, a)", "('x/y', 1)", '/"1"/"x//y"'),
        ('"A.b" text PRIMARY KEY', "('a\"b.c')", '/"a"b.c"'),
        ("a text PRIMARY KEY", "('')", '/""'),
        ("a text PRIMARY KEY", "(E'tab\\t line\\n \\\\ ü \\x01')", '/"tab\t line\n \\ ü \x01"'),
        ("a text PRIMARY KEY", "('_')", '/"_"'),
        ("b text, a text", "(NULL, 'x')", '/"x"/_'),
        ("b text, a text", "('_', '/')", '/"//"/"_"'),
        ("a timestamptz PRIMARY KEY", "('2026-01-02 03:04:05+02')", '/"2026-01-02 01:04:05+00"'),
        ("a bytea PRIMARY KEY", "('\\x00ff')", '/"\\x00ff"'),
    ],
)
async def test_keys(shapes: Shapes, columns: str, insert: str, key: str) -> None:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {name} ({columns})")
    await shapes.database.execute(f"INSERT INTO {name} VALUES {insert}")
    shape = await shapes.open(name)
    [message] = await shape.snapshot()
    assert message["key"] == f'"public"."{name}"{key}'
    deleted, inserted = await changed(shapes, shape, f"DELETE FROM {name}", f"INSERT INTO {name} VALUES {insert}")
    assert deleted["key"] == inserted["key"] == message["key"]
    assert inserted["value"] == message["value"]


async def test_a_table_without_a_key_sends_whole_rows(shapes: Shapes) -> None:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {name} (b text, a text); INSERT INTO {name} VALUES ('1', NULL)")
    shape = await shapes.open(name)
    gone, come, deleted = await changed(shapes, shape, f"UPDATE {name} SET b = '2'", f"DELETE FROM {name}")
    assert (gone["headers"]["operation"], gone["value"]) == ("delete", {"b": "1", "a": None})
    assert (come["headers"]["operation"], come["value"]) == ("insert", {"b": "2", "a": None})
    assert (deleted["headers"]["operation"], deleted["value"]) == ("delete", {"b": "2", "a": None})


async def test_rows_that_move_between_partitions(shapes: Shapes) -> None:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"CREATE TABLE {name} (id int, k text, note text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);"
        f"CREATE TABLE {name}_a PARTITION OF {name} FOR VALUES IN ('a');"
        f"CREATE TABLE {name}_b PARTITION OF {name} FOR VALUES IN ('b'); INSERT INTO {name} VALUES (1, 'a', 'n')"
    )
    shape = await shapes.open(name)
    found = await changed(shapes, shape, f"UPDATE {name} SET k = 'b'", f"UPDATE {name} SET note = 'x'")
    assert [message["headers"]["operation"] for message in found] == ["delete", "insert", "update"]
    assert {message["headers"]["relation"][1] for message in found} == {name}


async def test_copy_and_a_large_transaction(shapes: Shapes, table: str) -> None:
    shape = await shapes.open(table, where="owner = 'c'")
    await shape.parts()
    records = [(number, "c" if number % 2 else "d", "x" * 200, None) for number in range(10, 20_010)]
    await shapes.database.copy_records_to_table(table, records=records)
    await shapes.caught_up()
    found = await shape.log()
    assert [int(message["value"]["id"]) for message in found] == list(range(11, 20_010, 2))
    assert [message["headers"]["op_position"] for message in found] == list(range(2, 40_000, 4))
    assert [number for number, message in enumerate(found) if message["headers"].get("last")] == [len(found) - 1]


async def test_values_out_of_line_come_from_the_old_row(shapes: Shapes) -> None:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, n int, a text, b jsonb, c bytea, d text[]);"
        + "".join(f"ALTER TABLE {name} ALTER {column} SET STORAGE EXTERNAL;" for column in "abcd")
        + f"INSERT INTO {name} SELECT 1, 0, repeat('x', 9000), jsonb_build_object('k', repeat('y', 9000)),"
        " convert_to(repeat('z', 9000), 'UTF8'), ARRAY[repeat('w', 9000), NULL]"
    )
    plain, full = await shapes.open(name), await shapes.open(name, replica="full")
    moves = await shapes.open(name, where="n = 1")
    [first] = await plain.snapshot()
    await full.parts()
    await moves.parts()
    await shapes.database.execute(f"UPDATE {name} SET n = 1")
    await shapes.caught_up()
    [update] = await plain.log()
    assert update["value"] == {"id": "1", "n": "1"}
    [update] = await full.log()
    assert (update["value"], update["old_value"]) == ({**first["value"], "n": "1"}, {"n": "0"})
    [insert] = await moves.log()
    assert insert["value"] == {**first["value"], "n": "1"}


async def test_truncate_ends_the_shapes_of_every_table_it_names(shapes: Shapes, table: str) -> None:
    other, third = f"{table}_other", f"{table}_third"
    for name in (other, third):
        await shapes.database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    one, narrow, two = await shapes.open(table), await shapes.open(table, where="id = 77"), await shapes.open(other)
    kept = await shapes.open(third)
    for shape in (one, narrow, two, kept):
        await shape.parts()
    await shapes.database.execute(f"TRUNCATE {table}, {other}")
    await shapes.caught_up()
    assert [await shapes.is_open(shape.handle) for shape in (one, narrow, two, kept)] == [False, False, False, True]
    again = await shapes.open(table)
    assert await again.snapshot() == []
    assert again.handle != one.handle
