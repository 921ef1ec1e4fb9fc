"""Whether what clauses stand on is still what it was when they were read."""

from collections.abc import Sequence

import asyncpg

from medley.clauses import objects
from medley.contracts.shapes import ClauseObject
from services.sync.live import LiveShape


async def unaltered(pool: asyncpg.Pool, stands_on: Sequence[ClauseObject]) -> bool:
    now = await objects.versions(pool, [(one.kind, one.oid) for one in stands_on])
    return all(now.get((one.kind, one.oid)) == one.version for one in stands_on)


async def altered_among(pool: asyncpg.Pool, shapes: Sequence[LiveShape]) -> set[str]:
    """The handles of those shapes whose clauses stand on something that was altered; one question for all."""
    now = await objects.versions(pool, sorted({(one.kind, one.oid) for shape in shapes for one in shape.stands_on}))
    return {
        shape.record.handle
        for shape in shapes
        if any(now.get((one.kind, one.oid)) != one.version for one in shape.stands_on)
    }
