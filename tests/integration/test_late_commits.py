"""A commit is sent to sync before anybody sees it: a shape opened meanwhile does not lack it, nor has it twice."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest

from medley.contracts.slices import SLICES
from medley.runtime.postgres import SESSION
from services.sync.registry import Registry
from services.sync.slices import SliceRecord
from tests.support.library import Library, until
from tests.support.shapes import Shapes
from tests.support.standby import WAITS, standby

pytestmark = pytest.mark.skipif("TEST_POSTGRES_DSN" in os.environ, reason="a setting of the whole server is changed")


@pytest.fixture
async def late(shapes: Shapes, sync: Library) -> AsyncIterator[asyncpg.Connection]:
    """A session whose commits wait until they are cancelled."""
    async with standby(shapes.database, alone=True) as hides:
        assert hides
        session = await asyncpg.connect(sync.dsn, server_settings={**SESSION, "synchronous_commit": "on"})
        yield session
        await session.close()


async def _hidden(late: asyncpg.Connection, shapes: Shapes, statement: str) -> asyncio.Task[str]:
    """The statement's commit, which nobody sees until it is cancelled."""
    task = asyncio.create_task(late.execute(statement))

    async def waits() -> bool:
        return bool(await shapes.database.fetchval(WAITS, late.get_server_pid()))

    await until(waits, "the commit waits for a standby")
    return task


async def test_a_shape_opened_after_a_restart_has_what_was_sent_before_it(
    sync: Library, shapes: Shapes, late: asyncpg.Connection
) -> None:
    """The position was saved beyond a commit that no snapshot shows yet: nobody would send it again."""
    name = f"late_{secrets.token_hex(4)}"
    await shapes.database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, text text)")
    await shapes.open(name, where="id < 0")  # publishes the table
    task = await _hidden(late, shapes, f"INSERT INTO {name} VALUES (1, 'late')")
    sent = int(await shapes.database.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"))
    await shapes.database.execute(f"INSERT INTO {name} VALUES (2, 'seen')")

    async def saved() -> bool:
        state = (await Registry.open(shapes.js)).state
        records = [SliceRecord.model_validate_json((await state.get(f"slice.{n}")).value or b"") for n in range(SLICES)]
        return all(one.position is not None and one.position.lsn >= sent for one in records)

    await until(saved, "the position is saved beyond the commit")
    await sync.kill("sync", signal.SIGKILL)
    await sync.start("sync")
    opening = asyncio.create_task(shapes.open(name))

    async def refused() -> bool:
        return "no settled snapshot" in (sync.logs / "sync.log").read_text()

    await until(refused, "sync has found no snapshot that shows the commit")
    assert not opening.done()
    await shapes.database.execute("SELECT pg_cancel_backend($1)", late.get_server_pid())
    await task
    shape = await opening
    await shapes.caught_up()
    rows = [*await shape.snapshot(), *await shape.log()]
    assert sorted(row["value"]["id"] for row in rows) == ["1", "2"]
