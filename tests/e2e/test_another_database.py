"""What cannot go on does not: a slot that is gone, a database that is another one than it was. Everything is taken
anew, and the log says why; no client is ever left with a gap."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from medley.cli.embedded.ports import free_port
from medley.cli.embedded.postgres import Postgres
from tests.chaos.stage import Server
from tests.support import web
from tests.support.library import Follower, Library, rows_of, running_library, until

DROP = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
Happening = Callable[[Server, Path, Library], Awaitable[None]]


@asynccontextmanager
async def stopped(postgres: Server) -> AsyncIterator[None]:
    await postgres.stop()
    yield
    await postgres.start()


async def shell(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command)
    assert await process.wait() == 0, command


async def write(library: Library, text: str) -> None:
    connection = await library.connect()
    await connection.execute("UPDATE followed SET text = $1 WHERE id % 2 = 0", text)
    await connection.execute("DELETE FROM followed WHERE id = (SELECT max(id) FROM followed)")
    await connection.close()


async def slot_dropped(_: Server, __: Path, library: Library) -> None:
    await library.kill("sync")
    connection = await library.connect()

    async def dropped() -> bool:
        await connection.execute(DROP)
        return not await connection.fetchval("SELECT count(*) FROM pg_replication_slots")

    await until(dropped, "the slot is dropped")
    await connection.close()
    await write(library, "without a slot")
    await library.start("sync")


async def slot_made_late(_: Server, __: Path, library: Library) -> None:
    """The new slot waits for a transaction to end: what is written until then comes in no stream."""
    await library.kill("sync")
    connection, holding = await library.connect(), await library.connect()

    async def dropped() -> bool:
        await connection.execute(DROP)
        return not await connection.fetchval("SELECT count(*) FROM pg_replication_slots")

    async def waiting() -> bool:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"
        return bool(await connection.fetchval(f"{waits} AND query LIKE '%create_logical%'"))

    await until(dropped, "the slot is dropped")
    await holding.execute("BEGIN; SELECT pg_current_xact_id()")
    await library.start("sync")
    await until(waiting, "the slot is being made")
    async with web.client(timeout=60) as http:  # whatever it is answered
        await http.get(f"{library.api}/v1/shape", params={"table": "followed", "offset": "-1"})
    await write(library, "before the slot")
    await holding.execute("COMMIT")
    await holding.close()
    await connection.close()


async def slot_invalidated(_: Server, __: Path, library: Library) -> None:
    connection = await library.connect()
    await connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    await connection.execute("SELECT pg_reload_conf()")
    await library.kill("sync")
    await write(library, "behind an invalid slot")

    async def lost() -> bool:
        await connection.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
        await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
        return bool(await connection.fetchval("SELECT wal_status = 'lost' FROM pg_replication_slots"))

    await until(lost, "the slot is invalidated")
    await connection.close()
    await library.start("sync")


async def another_timeline(postgres: Server, data: Path, library: Library) -> None:
    """A recovery that ends at once, as a promotion does."""
    async with stopped(postgres):
        await shell(f"cp -a {data}/PG_VERSION {data}/recovery.signal")
        await shell(f"echo \"restore_command = '/bin/false'\" >> {data}/postgresql.auto.conf")
    await write(library, "on another timeline")


async def set_back(postgres: Server, data: Path, library: Library) -> None:
    """An older copy of the database is restored; what came after it has been followed already."""
    older = data.with_name("older")
    async with stopped(postgres):
        await shell(f"cp -a {data} {older}")
    await library.active()
    async with Follower(library.api, "followed") as follower:
        await write(library, "lost by the restore")
        connection = await library.connect()
        await follower.reaches(await rows_of(connection, "followed"))
        await connection.close()
    async with stopped(postgres):
        shutil.rmtree(data)
        older.rename(data)
    await write(library, "after the restore")


@pytest.mark.parametrize(
    ("happens", "reasons"),
    [
        (slot_dropped, {"there is no replication slot"}),
        (slot_made_late, {"there is no replication slot"}),
        (slot_invalidated, {"the replication slot was invalidated"}),
        (another_timeline, {"this is another database, or timeline, than the one that the streams were fed from"}),
        # Which one it is depends on how much has been written since.
        (
            set_back,
            {
                "the database was set back behind what the streams hold",
                "the database was restored, and went on otherwise than the streams",
            },
        ),
    ],
)
async def test_clients_fetch_again_and_the_log_says_why(
    happens: Happening, reasons: set[str], fresh_nats_url: str, tmp_path: Path
) -> None:
    server = Postgres(tmp_path / "postgres", free_port(), "secret", durable=False)
    postgres = Server(server, tmp_path / "postgres.log")
    await postgres.start()
    async with running_library(server.url, fresh_nats_url, tmp_path) as library:
        connection = await library.connect()
        await connection.execute("CREATE TABLE followed (id int PRIMARY KEY, text text)")
        await connection.execute("INSERT INTO followed SELECT g, 'x' FROM generate_series(1, 50) g")
        rows = await rows_of(connection, "followed")
        await connection.close()
        async with Follower(library.api, "followed") as follower:
            await follower.reaches(rows)
            await write(library, "before")
            connection = await library.connect()
            await follower.reaches(await rows_of(connection, "followed"))
            await connection.close()
            await happens(postgres, server.data, library)
            connection = await library.connect()
            await follower.reaches(await rows_of(connection, "followed"))
            await connection.execute("INSERT INTO followed VALUES (1000, 'goes on')")
            await follower.reaches(await rows_of(connection, "followed"))
            await connection.close()
        lines = [json.loads(line) for line in (tmp_path / "sync.log").read_text().splitlines() if line[:1] == "{"]
        assert reasons & {line.get("reason") for line in lines if line["level"] == "error"}
    await postgres.stop()
