"""NATS and Postgres themselves are killed (-9) while rows are written: clients equal SELECT, without refetching."""

import asyncio
import secrets

import asyncpg
import psutil
import pytest

from medley.runtime.postgres import FAILURES
from tests.support.library import Follower, rows_of, until
from tests.support.stacks import Up


async def _write(dsn: str, table: str, stop: asyncio.Event) -> None:
    """Write as a client would: connect again when the connection is lost."""
    connection: asyncpg.Connection | None = None
    while not stop.is_set():
        try:
            connection = connection or await asyncpg.connect(dsn, timeout=5)
            await connection.execute(f"INSERT INTO {table} (n) SELECT 0 FROM generate_series(1, 5)")
            await connection.execute(f"UPDATE {table} SET n = n + 1 WHERE id % 7 = 3")
            await connection.execute(f"DELETE FROM {table} WHERE n > 5")
        except FAILURES:
            connection = None
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.01)
    if connection is not None:
        await connection.close()


@pytest.mark.parametrize("server", ["nats", "postgres"])
async def test_clients_equal_select_afterwards(stack: Up, server: str) -> None:
    info = await asyncio.to_thread(stack.info)
    table = f"t_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(info["postgres"])
    await connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, n int)")
    await connection.close()
    stop = asyncio.Event()
    async with Follower(info["api"], table) as follower:
        writing = asyncio.create_task(_write(info["postgres"], table, stop))

        async def live(seen: int) -> bool:
            return len(follower.messages) > seen + 30

        await until(lambda: live(0), "changes arrive")
        psutil.Process(info["pids"][server]).kill()
        await asyncio.to_thread(stack.new_pid, server, info["pids"][server])
        seen = len(follower.messages)
        await until(lambda: live(seen), "changes arrive again")
        stop.set()
        await writing
        await asyncio.to_thread(stack.active)
        connection = await asyncpg.connect(info["postgres"])
        await follower.reaches(await rows_of(connection, table))
        await connection.close()
        assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]
