"""The registry belongs to the workers: a record that nobody feeds goes, and so does a shape without a record."""

import secrets

from medley.contracts import streams
from medley.contracts.shapes import ShapeRecord
from tests.support.library import until
from tests.support.shapes import Shapes


async def _shape(shapes: Shapes) -> tuple[str, ShapeRecord]:
    table = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    opened = await shapes.open(table)
    await opened.parts()
    return table, opened.record


async def test_a_record_that_a_worker_left_behind_is_forgotten(shapes: Shapes) -> None:
    """It had lost the slice, and died between its put and its look."""
    _, record = await _shape(shapes)
    digest = record.handle.partition("-")[0]
    left = record.model_copy(update={"handle": f"{digest}-1", "state": "ready"})
    bucket = await shapes.js.key_value(streams.SHAPES_BUCKET.name)
    await bucket.put(left.handle, left.model_dump_json().encode())

    async def gone() -> bool:
        return not await shapes.is_open(left.handle)

    await until(gone, "the record that nobody feeds is forgotten")
    assert await shapes.is_open(record.handle)


async def test_a_shape_whose_record_is_taken_away_is_made_anew(shapes: Shapes) -> None:
    table, record = await _shape(shapes)
    bucket = await shapes.js.key_value(streams.SHAPES_BUCKET.name)
    await bucket.delete(record.handle)

    async def anew() -> bool:
        return (await shapes.open(table)).handle != record.handle

    await until(anew, "another shape is made")
    await shapes.database.execute(f"INSERT INTO {table} VALUES (1)")
    await shapes.caught_up()
    opened = await shapes.open(table)
    rows = [*await opened.snapshot(), *await opened.log()]
    assert [row["value"]["id"] for row in rows] == ["1"]
