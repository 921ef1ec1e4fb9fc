"""Clauses of every kind, on real servers: what a shape holds equals SELECT … WHERE after each transaction."""

import asyncio
import secrets
import signal

import pytest

from tests.support.library import Library
from tests.support.predicates import CLAUSES, Writer, differences, literal, make_table, writer
from tests.support.shapes import OpenShape, Shapes


async def a_table(shapes: Shapes, seed: int) -> tuple[str, Writer]:
    """A schema with the table of many types, some rows in it, and who writes more."""
    schema = f"s_{secrets.token_hex(4)}"
    await make_table(shapes.database, schema)
    found = await writer(shapes.database, schema, seed)
    for _ in range(10):
        await found.transaction()
    return schema, found


async def open_all(shapes: Shapes, schema: str) -> list[tuple[OpenShape, str]]:
    gate = asyncio.Semaphore(8)

    async def one(clause: str, params: tuple[str, ...]) -> tuple[OpenShape, str]:
        text = clause.format(s=schema) if not params else clause
        async with gate:
            return await shapes.open("t", schema, where=text, params=params), literal(text, params)

    return await asyncio.gather(*(one(clause, params) for clause, params in CLAUSES))


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_clause_after_each_transaction(shapes: Shapes, seed: int) -> None:
    schema, writes = await a_table(shapes, seed)
    opened = await open_all(shapes, schema)
    assert await differences(shapes, opened, f"{schema}.t") == []
    for _ in range(6):
        for _ in range(4):
            await writes.transaction()
        assert await differences(shapes, opened, f"{schema}.t") == []


async def test_shapes_that_are_opened_under_fire(sync: Library, shapes: Shapes) -> None:
    schema, writes = await a_table(shapes, 3)
    writes.connection = await sync.connect()

    async def write() -> None:
        for _ in range(200):
            await writes.transaction()

    opened, _ = await asyncio.gather(open_all(shapes, schema), write())
    await writes.connection.close()
    assert await differences(shapes, opened, f"{schema}.t") == []


async def test_sync_is_killed_in_between(sync: Library, shapes: Shapes) -> None:
    schema, writes = await a_table(shapes, 4)
    opened = await open_all(shapes, schema)
    for shape, _ in opened:
        await shape.parts()
    for _ in range(3):
        await writes.transaction()
        await sync.kill("sync", signal.SIGKILL)
        for _ in range(5):
            await writes.transaction()
        await sync.start("sync")
        assert await differences(shapes, opened, f"{schema}.t") == []
