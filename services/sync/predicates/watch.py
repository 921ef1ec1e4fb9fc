"""Whether what clauses stand on is still what it was when they were read."""

from collections.abc import Iterable, Sequence

import asyncpg

from medley.clauses import objects
from medley.contracts.shapes import ClauseObject
from services.sync.kept import Common


async def unaltered(pool: asyncpg.Pool, stands_on: Sequence[ClauseObject]) -> bool:
    now = await objects.versions(pool, [(one.kind, one.oid) for one in stands_on])
    return all(now.get((one.kind, one.oid)) == one.version for one in stands_on)


async def altered_among(pool: asyncpg.Pool, commons: Iterable[Common]) -> set[Common]:
    """Those whose clauses stand on something that was altered; one question for all."""
    standing = [common for common in commons if common.objects]
    now = await objects.versions(pool, sorted({(one.kind, one.oid) for common in standing for one in common.objects}))
    return {common for common in standing if any(now.get((one.kind, one.oid)) != one.version for one in common.objects)}
