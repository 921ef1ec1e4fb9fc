"""The table of clauses in sync's README is what happens: each example is opened, followed and compared with SELECT."""

import os
import random
import secrets

from medley.client import Copy
from tests.support import supported
from tests.support.shapes import OpenShape, Shapes


async def _differs(shapes: Shapes, shape: OpenShape, table: str, where: str) -> bool:
    copy = Copy()
    copy.apply(await shape.snapshot())
    copy.apply(await shape.log())
    rows = await shapes.database.fetch(f"SELECT id::text FROM {table} AS songs WHERE {where}")
    return bool(copy.faults) or {row["id"] for row in copy.rows.values()} != {row["id"] for row in rows}


def _tier(shape: OpenShape) -> str:
    predicate = shape.record.predicate
    if predicate is None:
        return "whole"
    return f"{predicate.tier}, with an index" if predicate.tier == "postgres" and predicate.index else predicate.tier


async def test_the_table_in_the_readme_is_what_happens(shapes: Shapes) -> None:
    schema, chance = f"s_{secrets.token_hex(4)}", random.Random(5)  # noqa: S311
    await shapes.database.execute(supported.SCHEMA.format(s=schema))
    for _ in range(60):
        await shapes.database.execute(supported.statement(chance, schema))
    opened: list[tuple[OpenShape, str]] = []
    found = []
    for what, examples in supported.SUPPORTED:
        tiers = []
        for clause in examples:
            where = clause.replace("{s}", schema)
            shape = await shapes.open("songs", schema, where=where)
            opened.append((shape, where))
            tiers.append((clause, _tier(shape)))
        found.append((what, tiers))
    for _ in range(5):
        for _ in range(30):
            await shapes.database.execute(supported.statement(chance, schema))
        await shapes.caught_up()
        wrong = [where for shape, where in opened if await _differs(shapes, shape, f"{schema}.songs", where)]
        assert wrong == []
    assert all([await shapes.is_open(shape.handle) for shape, _ in opened])
    for _, examples in supported.REFUSED:
        for clause in examples:
            assert (await shapes.ask("songs", schema, where=clause.replace("{s}", schema))).errors, clause
    text = supported.table(found, supported.REFUSED)
    if os.environ.get("SUPPORTED_WRITE"):
        supported.write_readme(text)
    assert supported.in_readme() == text, "write it anew: make supported"
