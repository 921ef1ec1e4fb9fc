"""A snapshot is cut where its record says, the same way each time, and parts never span chunks."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from services.sync import parts
from services.sync.parts import Cutter, Part

END = b'{"headers":{"control":"snapshot-end"}}'


def cut(sizes: list[int], chunk_bytes: int) -> list[Part]:
    cutter = Cutter(chunk_bytes)
    made = [part for size in sizes for part in cutter.rows([b'"' + b"x" * (size - 2) + b'"'])]
    return [*made, cutter.end(END)]


def rows(part: Part) -> list[int]:
    """The sizes of the rows in it."""
    return [len(row) + 2 for row in orjson.loads(part.payload) if isinstance(row, str)]


@given(st.lists(st.integers(2, 400), max_size=60), st.integers(1, 2_000))
def test_a_chunk_is_closed_by_the_row_that_makes_it_large_enough(sizes: list[int], chunk_bytes: int) -> None:
    made = cut(sizes, chunk_bytes)
    assert [size for part in made for size in rows(part)] == sizes
    chunks: dict[int, list[int]] = {}
    for part in made:
        chunks.setdefault(part.chunk, []).extend(rows(part))
    assert list(chunks) == list(range(len(chunks)))
    *closed, last = chunks.values()
    assert all(sum(chunk) >= chunk_bytes > sum(chunk[:-1]) for chunk in closed)
    assert sum(last) < chunk_bytes


def test_parts_are_numbered_and_the_last_one_is_the_end() -> None:
    made = cut([parts.PART_BYTES // 2 - 10] * 5, chunk_bytes=parts.PART_BYTES * 2)
    assert [(part.number, part.chunk, part.final) for part in made] == [
        (0, 0, False),
        (1, 0, False),
        (2, 0, False),
        (3, 1, True),
    ]
    assert made[-1].headers == {"Medley-Part": "3", "Medley-Chunk": "1", "Medley-Final": "true"}
    assert orjson.loads(made[-1].payload)[-1] == orjson.loads(END)
    assert made == cut([parts.PART_BYTES // 2 - 10] * 5, chunk_bytes=parts.PART_BYTES * 2)


def test_an_end_of_its_own_when_the_last_row_closed_a_chunk() -> None:
    made = cut([10, 10], chunk_bytes=10)
    assert [(part.chunk, rows(part)) for part in made] == [(0, [10]), (1, [10]), (2, [])]
    assert [(part.chunk, rows(part)) for part in cut([], chunk_bytes=10)] == [(0, [])]
