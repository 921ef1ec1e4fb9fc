"""sync is killed (-9) while rows are written, again and again: clients lose nothing and see nothing twice."""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import nats

from tests.support.databases import clear_bus
from tests.support.library import Follower, Library, rows_of, until


@asynccontextmanager
async def busy_table(library: Library, writers: int = 2) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """A table that several sessions write to until the block ends."""
    table = f"t_{secrets.token_hex(4)}"
    connection = await library.connect()
    await connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, owner int, n int)")
    stop = asyncio.Event()
    tasks = [asyncio.create_task(_write(library, table, seed, stop)) for seed in range(writers)]
    try:
        yield connection, table
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await connection.close()


async def _write(library: Library, table: str, seed: int, stop: asyncio.Event) -> None:
    chance = random.Random(seed)  # noqa: S311
    connection = await library.connect()
    while not stop.is_set():
        try:
            async with connection.transaction():
                await connection.execute(
                    f"INSERT INTO {table} (owner, n) SELECT $1, 0 FROM generate_series(1, $2)",
                    chance.randrange(3),
                    chance.choice([1] * 12 + [5] * 3 + [2000]),  # a large one now and then: more is only more to read
                )
                await connection.execute(
                    f"UPDATE {table} SET n = n + 1, owner = $1 WHERE id % 97 = $2",
                    chance.randrange(3),
                    chance.randrange(97),
                )
                await connection.execute(f"DELETE FROM {table} WHERE id % 101 = $1 AND n > 1", chance.randrange(101))
        except asyncpg.DeadlockDetectedError:
            continue
        await asyncio.sleep(chance.random() * 0.05)
    await connection.close()


async def _caught_up(follower: Follower, library: Library, table: str, where: str = "true") -> None:
    connection = await library.connect()
    try:
        await follower.reaches(await rows_of(connection, table, where), patience=120)
    finally:
        await connection.close()


async def test_clients_equal_select_after_every_kill(library: Library) -> None:
    chance = random.Random(20261122)  # noqa: S311
    async with Follower(library.api, "songs") as quiet:
        async with busy_table(library) as (connection, table):
            whole = Follower(library.api, table)
            narrow = Follower(library.api, table, where="owner = $1", params=["1"])
            for _ in range(6):
                rows = await connection.fetchval(f"SELECT count(*) FROM {table}")

                async def more(rows: int = rows) -> bool:
                    return bool(await connection.fetchval(f"SELECT count(*) > $1 FROM {table}", rows + 50))

                await until(more, "rows are being written")
                await asyncio.sleep(chance.random() * 0.5)  # a kill may fall anywhere
                await library.kill("sync")
                await library.start("sync")
                await library.active()
        await _caught_up(whole, library, table)
        await _caught_up(narrow, library, table, "owner = 1")
        await quiet.reaches([])
        for follower in (whole, narrow, quiet):
            assert follower.messages, "the follower followed"
            refetches = [m for m in follower.messages if m["headers"].get("control") == "must-refetch"]
            assert len(refetches) <= 1, "a shape that was ready survives kills (one may be killed as it opens)"
            await follower.__aexit__()


async def test_a_standby_takes_over(library: Library) -> None:
    await library.start("standby", "sync")
    log = library.logs / "standby.log"

    async def standing_by() -> bool:
        return "capture stands by" in await asyncio.to_thread(log.read_text)

    await until(standing_by, "the second sync stands by")
    async with busy_table(library) as (_, table):
        follower = Follower(library.api, table)
        for name, service in (("sync", "sync"), ("standby", "standby")):
            seen = len(follower.messages)

            async def live(seen: int = seen) -> bool:
                return len(follower.messages) > seen + 20

            await until(live, "changes arrive")
            await library.kill(name)
            await until(live, "changes arrive from the other one")
            await library.start(service, "sync")
    await _caught_up(follower, library, table)
    await follower.__aexit__()
    await library.kill("standby")


async def test_clients_converge_when_every_stream_was_deleted(library: Library) -> None:
    async with busy_table(library) as (_, table):
        follower = Follower(library.api, table)

        async def live() -> bool:
            return len(follower.messages) > 20

        await until(live, "changes arrive")
        for name in ("sync", "api"):
            await library.kill(name)
        await clear_bus(library.nats_url)
        await library.start("migrator")
        assert await library.processes.pop("migrator").wait() == 0
        for name in ("sync", "api"):
            await library.start(name)
        await library.active()
    await _caught_up(follower, library, table)
    await follower.__aexit__()


async def test_the_topic_of_a_table_holds_each_change_once(library: Library) -> None:
    """What `changes.public.<table>` says, replayed, equals SELECT: with nothing but a NATS client."""
    client = await nats.connect(library.nats_url)
    async with busy_table(library) as (connection, table):
        async with Follower(library.api, table) as follower:

            async def live() -> bool:
                return len(follower.messages) > 5

            await until(live, "the table is published")
        first = await connection.fetch(f"SELECT id FROM {table}")
        await library.kill("sync")
        await library.start("sync")
        await library.active()
    subscription = await client.jetstream().subscribe(f"changes.public.{table}", ordered_consumer=True)
    rows = await library.connect()
    wanted = {str(row["id"]) for row in await rows.fetch(f"SELECT id FROM {table}")}
    inserted: list[str] = []
    deleted: set[str] = set()
    last = (0, -1)
    while (set(inserted) | {str(row["id"]) for row in first}) - deleted != wanted:
        message = await subscription.next_msg(timeout=30)
        body = json.loads(message.data)
        for change in body["changes"]:
            place = (int(body["lsn"]), change["position"])
            assert place > last, "in the order of commits, each once"
            last = place
            if change["op"] == "insert":
                inserted.append(change["new"]["id"])
            elif change["op"] == "delete":
                deleted.add(change["old"]["id"])
    assert len(inserted) == len(set(inserted))
    await rows.close()
    await client.close()
