"""Questions about what subqueries read are asked in one snapshot, or not at all."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from medley.contracts.shapes import ClauseTable
from services.sync.related.reading import Reading
from services.sync.related.statement import Question


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=3) as made:
        yield made


@pytest.fixture
async def table(pool: asyncpg.Pool) -> ClauseTable:
    await pool.execute("CREATE TABLE notes (id int PRIMARY KEY); CREATE PUBLICATION medley FOR TABLE notes")
    row = await pool.fetchrow("SELECT oid, prrelid FROM pg_publication_rel")
    assert row is not None
    return ClauseTable(
        oid=row["prrelid"],
        schema_name="public",
        name="notes",
        partitioned=False,
        publication_entry=row["oid"],
        columns=(),
        key=("id",),
    )


async def _arrived(_: int) -> None:
    """Everything has."""


async def test_nothing_is_asked_outside_of_the_snapshot(pool: asyncpg.Pool, table: ClauseTable) -> None:
    """A server that comes back between the snapshot and a question knows newer rows: nothing could undo these."""
    reading = Reading(pool, 5.0, _arrived, "medley")
    question = Question("SELECT pg_backend_pid() AS pid", ())
    with pytest.raises(asyncpg.ConnectionDoesNotExistError) as caught:
        async with reading.snapshot((table,), ()) as (_, ask):
            [row] = await ask(question)
            await pool.execute("SELECT pg_terminate_backend($1, 5000)", row["pid"])
            await ask(question)
    assert await reading.is_to_blame(caught.value)
    async with reading.snapshot((table,), ()) as (_, ask):
        assert (await ask(question))[0]["pid"] != row["pid"]
    await reading.close()
