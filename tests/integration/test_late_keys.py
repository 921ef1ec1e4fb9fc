"""A primary key that is checked late: in a transaction two rows may have one key, by which clients know rows."""

import secrets

import pytest

from tests.support.library import until
from tests.support.shapes import OpenShape, Shapes

ROWS = "INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, 'c')"


async def a_table(shapes: Shapes, key: str = "PRIMARY KEY DEFERRABLE INITIALLY DEFERRED") -> str:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {name} (id int {key}, v text); {ROWS.format(t=name)}")
    return name


async def ends(shapes: Shapes, shape: OpenShape) -> None:
    async def gone() -> bool:
        return not await shapes.is_open(shape.handle)

    await until(gone, f"the shape of {shape.record.definition.table} ends")


async def held(shapes: Shapes, shape: OpenShape) -> list[tuple[str, str]]:
    """The rows that a client has, who applies the log by keys."""
    await shapes.caught_up()
    rows: dict[str, dict[str, str]] = {}
    for message in [*await shape.snapshot(), *await shape.log()]:
        if message["headers"]["operation"] == "delete":
            del rows[message["key"]]
        else:
            rows[message["key"]] = {**rows.get(message["key"], {}), **message["value"]}
    return sorted((row["id"], row["v"]) for row in rows.values())


async def there(shapes: Shapes, table: str, where: str) -> list[tuple[str, str]]:
    rows = await shapes.database.fetch(f"SELECT id::text, v FROM {table} WHERE {where} ORDER BY 1, 2")
    return [(row["id"], row["v"]) for row in rows]


@pytest.mark.parametrize("where", ["true", "id < 10", "v IN (SELECT v FROM {t}_wanted)"])
@pytest.mark.parametrize(
    "statements",
    [
        "UPDATE {t} SET id = 3 - id WHERE id < 3",
        "UPDATE {t} SET id = id + 1",
        "INSERT INTO {t} VALUES (1, 'new'); DELETE FROM {t} WHERE v = 'a'",
        "UPDATE {t} SET v = 'x'; UPDATE {t} SET id = 4 - id",
    ],
)
async def test_a_row_takes_a_key_before_another_gives_it_up(shapes: Shapes, statements: str, where: str) -> None:
    table = await a_table(shapes)
    await shapes.database.execute(f"CREATE TABLE {table}_wanted AS SELECT unnest('{{a,b,c,x,new}}'::text[]) AS v")
    clause = where.format(t=table)
    shape = await shapes.open(table, where=clause)
    await shape.parts()
    await shapes.database.execute(f"BEGIN; {statements.format(t=table)}; COMMIT")
    await ends(shapes, shape)
    again = await shapes.open(table, where=clause)
    assert await held(shapes, again) == await there(shapes, table, clause)


async def test_every_other_change_goes_into_the_log(shapes: Shapes) -> None:
    table = await a_table(shapes)
    shape = await shapes.open(table)
    await shape.parts()
    for statements in (
        "UPDATE {t} SET id = id + 10",
        "DELETE FROM {t} WHERE id = 11; INSERT INTO {t} VALUES (11, 'again')",
        "INSERT INTO {t} VALUES (5, 'e'); UPDATE {t} SET v = 'f' WHERE id = 5",
    ):
        await shapes.database.execute(f"BEGIN; {statements.format(t=table)}; COMMIT")
    await shapes.database.execute(f"DELETE FROM {table} WHERE id = 5")
    assert await held(shapes, shape) == await there(shapes, table, "true")
    assert await shapes.is_open(shape.handle)


async def test_a_key_that_is_checked_at_once_may_be_given_and_taken(shapes: Shapes) -> None:
    table = await a_table(shapes, "PRIMARY KEY")
    shape = await shapes.open(table)
    await shape.parts()
    await shapes.database.execute(
        f"BEGIN; INSERT INTO {table} VALUES (4, 'd'); DELETE FROM {table} WHERE id > 2; COMMIT"
    )
    assert await held(shapes, shape) == [("1", "a"), ("2", "b")]
    assert await shapes.is_open(shape.handle)


async def test_a_key_that_is_checked_late_from_now_on(shapes: Shapes) -> None:
    table = await a_table(shapes, "PRIMARY KEY")
    shape = await shapes.open(table)
    await shape.parts()
    await shapes.database.execute(
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED"
    )
    await ends(shapes, shape)
    assert (await shapes.open(table)).handle != shape.handle
