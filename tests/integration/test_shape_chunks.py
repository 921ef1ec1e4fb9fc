"""A snapshot's chunks as they are in the stream: cut where the record says, whole parts, each row once."""

import secrets

import orjson
import pytest

from medley.contracts import headers
from services.sync.parts import PART_BYTES
from tests.support.shapes import OpenShape, Shapes


async def a_table(shapes: Shapes, rows: int, filler: int = 10) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, filler text)")
    await shapes.database.execute(
        f"INSERT INTO {name} SELECT g, repeat('x', $2) FROM generate_series(1, $1) g", rows, filler
    )
    return name


async def chunks_of(shape: OpenShape) -> list[list[bytes]]:
    """The JSON of each row, by chunk; checks the headers of every part on the way."""
    chunks: list[list[bytes]] = []
    parts = await shape.parts()
    for number, part in enumerate(parts):
        said = part.headers or {}
        assert said[headers.PART] == str(number)
        assert said[headers.FINAL] == ("true" if number == len(parts) - 1 else "false")
        chunk = int(said[headers.CHUNK])
        assert chunk in (len(chunks) - 1, len(chunks)), "chunks count from 0, without a gap"
        if chunk == len(chunks):
            chunks.append([])
        messages = orjson.loads(part.data or b"")
        if number == len(parts) - 1:
            assert messages.pop()["headers"]["control"] == "snapshot-end"
        chunks[-1] += [orjson.dumps(message) for message in messages]
    return chunks


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 100_000, 10 * 1024 * 1024])
async def test_the_row_that_makes_a_chunk_large_enough_closes_it(shapes: Shapes, chunk_bytes: int) -> None:
    table = await a_table(shapes, 3000)
    shape = await shapes.open(table, chunk_bytes=chunk_bytes)
    assert shape.record.chunk_bytes == chunk_bytes
    *closed, last = await chunks_of(shape)
    for chunk in closed:
        assert sum(map(len, chunk)) >= chunk_bytes > sum(map(len, chunk[:-1]))
    assert sum(map(len, last)) < chunk_bytes
    ids = [orjson.loads(row)["value"]["id"] for chunk in (*closed, last) for row in chunk]
    assert sorted(map(int, ids)) == list(range(1, 3001))
    if chunk_bytes == 1:
        assert len(closed) == 3000, "each row is a chunk, and the end is one of its own"


async def test_a_chunk_of_many_parts(shapes: Shapes) -> None:
    table = await a_table(shapes, 400, filler=4000)
    shape = await shapes.open(table, chunk_bytes=3 * PART_BYTES)
    parts = await shape.parts()
    of_chunks = [(part.headers or {})[headers.CHUNK] for part in parts]
    assert max(of_chunks.count(chunk) for chunk in set(of_chunks)) > 2
    assert all(len(part.data or b"") <= PART_BYTES + 2 for part in parts)
    await chunks_of(shape)


@pytest.mark.parametrize("log", ["full", "changes_only"])
async def test_no_rows_are_one_chunk_with_the_end(shapes: Shapes, log: str) -> None:
    table = await a_table(shapes, 0 if log == "full" else 10)
    shape = await shapes.open(table, log=log, chunk_bytes=1)
    assert await chunks_of(shape) == [[]]


async def test_the_size_is_the_shapes_for_life(shapes: Shapes) -> None:
    table = await a_table(shapes, 10)
    first = await shapes.open(table, chunk_bytes=500)
    again = await shapes.open(table, chunk_bytes=50)
    assert (again.handle, again.record.chunk_bytes) == (first.handle, 500)
