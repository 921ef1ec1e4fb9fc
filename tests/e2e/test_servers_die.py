"""NATS and Postgres themselves are killed (-9) while rows are written: clients equal SELECT, without refetching."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import psutil
import pytest

from medley.runtime.postgres import FAILURES
from tests.support import web
from tests.support.library import Follower, rows_of, until
from tests.support.stacks import Up

_KILLS = 3  # what a server is doing when it is killed differs


class Writer:
    """Writes as a client would: connects again when the connection is lost."""

    def __init__(self, dsn: str, table: str) -> None:
        self.rounds = 0
        self.failure: Exception | None = None
        self._dsn = dsn
        self._statements = (
            f"INSERT INTO {table} (n) SELECT 0 FROM generate_series(1, 5)",
            f"UPDATE {table} SET n = n + 1 WHERE id % 7 = 3",
            f"DELETE FROM {table} WHERE n > 5",
        )

    async def run(self, stop: asyncio.Event) -> None:
        connection: asyncpg.Connection | None = None
        while not stop.is_set():
            try:
                connection = connection or await asyncpg.connect(self._dsn, timeout=5, command_timeout=10)
                for statement in self._statements:
                    await connection.execute(statement)
                self.rounds += 1
            except FAILURES as error:
                self.failure = error
                if connection is not None:
                    connection.terminate()
                connection = None
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.01)
        if connection is not None:
            await connection.close()


@asynccontextmanager
async def _writing(dsn: str, table: str) -> AsyncIterator[tuple[Writer, asyncio.Task[None]]]:
    stop = asyncio.Event()
    writer = Writer(dsn, table)
    task = asyncio.create_task(writer.run(stop))
    try:
        yield writer, task
    finally:
        stop.set()
        await task


async def _more(follower: Follower, writer: Writer, writing: "asyncio.Task[None]", stack: Up) -> None:
    """Wait until changes of rows that are written from now on arrive; fails with what each of those involved says."""
    seen, written = len(follower.messages), writer.rounds

    async def arrived() -> bool:
        if writing.done():
            writing.result()
        follower.check()
        return writer.rounds > written and len(follower.messages) > seen + 30

    try:
        await until(arrived, "changes arrive")
    except AssertionError as error:
        raise AssertionError(
            f"{error}; {writer.rounds - written} rounds were written (last failure: {writer.failure!r}), "
            f"{len(follower.messages) - seen} messages came; health: {await _health(stack)}; the log ends:\n"
            + stack.log.read_text()[-4000:]
        ) from None


async def _health(stack: Up) -> str:
    state = stack.state()
    if state is None:
        return f"medley up ended with {stack.process.poll()}"
    async with web.client(trust_env=False) as http:
        try:
            return (await http.get(f"{state['api']}/v1/health")).text
        except httpx.TransportError as error:
            return repr(error)


@pytest.mark.parametrize("server", ["nats", "postgres"])
async def test_clients_equal_select_afterwards(stack: Up, server: str) -> None:
    info = await asyncio.to_thread(stack.info)
    table = f"t_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(info["postgres"])
    await connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, n int)")
    await connection.close()
    async with Follower(info["api"], table) as follower:
        async with _writing(info["postgres"], table) as (writer, writing):
            await _more(follower, writer, writing, stack)
            for _ in range(_KILLS):
                pid = stack.ready()["pids"][server]
                psutil.Process(pid).kill()
                await asyncio.to_thread(stack.new_pid, server, pid)
                await _more(follower, writer, writing, stack)
        await asyncio.to_thread(stack.active)
        connection = await asyncpg.connect(info["postgres"])
        await follower.reaches(await rows_of(connection, table))
        await connection.close()
        assert not [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]
