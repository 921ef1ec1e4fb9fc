"""`@electric-sql/client`, as published on npm and unmodified, follows shapes of a running library."""

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.support.library import Library

pytestmark = pytest.mark.node
FOLDER = Path(__file__).parent / "js"


@pytest_asyncio.fixture(scope="module")
async def node() -> str:
    """node, with the locked packages installed; a skip on a laptop without it, a failure in CI."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        sentence = "node and npm are not installed: the published client was not tried"
        if os.environ.get("CI"):
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)
    install = await asyncio.create_subprocess_exec(npm, "ci", "--no-audit", "--no-fund", "--silent", cwd=FOLDER)
    assert await install.wait() == 0, "npm ci failed"
    return found


class Client:
    """What the JavaScript side says, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def shows(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Read on until it holds these rows; the whole line."""
        assert self._process.stdout is not None
        while True:
            line = await asyncio.wait_for(self._process.stdout.readline(), 60)
            assert line, "the client ended by itself"
            said: dict[str, Any] = json.loads(line)
            if sorted(said["rows"], key=repr) == sorted(rows, key=repr):
                return said


@asynccontextmanager
async def client(node: str, library: Library, table: str, **params: Any) -> AsyncIterator[Client]:
    arguments = ["follow.mjs", f"{library.api}/v1/shape", table, json.dumps(params)]
    process = await asyncio.create_subprocess_exec(
        node, *arguments, cwd=FOLDER, stdout=asyncio.subprocess.PIPE, limit=16 * 1024 * 1024
    )
    try:
        yield Client(process)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def table_of(library: Library) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    connection = await library.connect()
    table = f"t_{secrets.token_hex(4)}"
    await connection.execute(f"CREATE TABLE {table} (id int8 PRIMARY KEY, ok bool, tags text[], doc jsonb, owner text)")
    try:
        yield connection, table
    finally:
        await connection.close()


async def test_it_sees_the_snapshot_and_every_change(node: str, library: Library) -> None:
    async with table_of(library) as (connection, table):
        await connection.execute(f"""INSERT INTO {table} VALUES (1, true, '{{a,"b c",NULL}}', '{{"n": 1}}', 'ann')""")
        first = {"id": "1n", "ok": True, "tags": ["a", "b c", None], "doc": {"n": 1}, "owner": "ann"}
        async with client(node, library, table) as js:
            await js.shows([first])
            await connection.execute(f"INSERT INTO {table} (id, ok) VALUES (9007199254740993, false)")
            second = {"id": "9007199254740993n", "ok": False, "tags": None, "doc": None, "owner": None}
            await js.shows([first, second])
            await connection.execute(f"UPDATE {table} SET ok = NULL, owner = 'bob' WHERE id = 1")
            await js.shows([{**first, "ok": None, "owner": "bob"}, second])
            await connection.execute(f"UPDATE {table} SET id = 2 WHERE id = 1")
            await connection.execute(f"DELETE FROM {table} WHERE id > 2")
            await js.shows([{**first, "id": "2n", "ok": None, "owner": "bob"}])


async def test_it_follows_a_clause_and_columns(node: str, library: Library) -> None:
    async with table_of(library) as (connection, table):
        await connection.execute(f"INSERT INTO {table} (id, owner) VALUES (1, 'ann'), (2, 'bob')")
        asked = {"where": "owner = $1", "params": ["ann"], "columns": ["id", "owner"], "replica": "full"}
        async with client(node, library, table, **asked) as js:
            await js.shows([{"id": "1n", "owner": "ann"}])
            await connection.execute(f"UPDATE {table} SET owner = 'ann' WHERE id = 2")
            await js.shows([{"id": "1n", "owner": "ann"}, {"id": "2n", "owner": "ann"}])
            await connection.execute(f"UPDATE {table} SET owner = 'eve' WHERE id = 1")
            await js.shows([{"id": "2n", "owner": "ann"}])


async def test_it_survives_a_rotation_and_a_restart_of_everything(node: str, library: Library) -> None:
    async with table_of(library) as (connection, table):
        await connection.execute(f"INSERT INTO {table} (id) SELECT generate_series(1, 3)")

        def rows(*ids: int) -> list[dict[str, Any]]:
            return [{"id": f"{n}n", "ok": None, "tags": None, "doc": None, "owner": None} for n in ids]

        async with client(node, library, table) as js:
            before = await js.shows(rows(1, 2, 3))
            await connection.execute(f"TRUNCATE {table}")
            await connection.execute(f"INSERT INTO {table} (id) VALUES (4)")
            after = await js.shows(rows(4))
            assert after["handle"] != before["handle"]
            for name in ("sync", "api"):
                await library.kill(name)
            await connection.execute(f"INSERT INTO {table} (id) VALUES (5)")
            for name in ("sync", "api"):
                await library.start(name)
            assert (await js.shows(rows(4, 5)))["handle"] == after["handle"], "a restart is no reason to refetch"
