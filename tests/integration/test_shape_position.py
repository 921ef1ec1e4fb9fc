"""The announced position (`global_last_seen_lsn`): it follows the database also where nothing is followed, never goes
back, and no entry ever comes at or below it."""

import asyncio
import secrets
import signal

import asyncpg
import orjson
from nats.aio.msg import Msg

from medley.contracts import streams, subjects
from medley.contracts.positions import Positions
from medley.contracts.shapes import Announcement
from tests.support.library import Library, until
from tests.support.shapes import Shapes


def a_name() -> str:
    return f"t_{secrets.token_hex(4)}"


async def inserted(database: asyncpg.Connection) -> int:
    return int(await database.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"))


async def passes(shapes: Shapes, lsn: int, why: str) -> None:
    async def passed() -> bool:
        return await shapes.position() >= lsn

    await until(passed, f"the position passes {lsn}: {why}")


async def test_it_moves_while_nothing_that_is_followed_changes(shapes: Shapes) -> None:
    await shapes.caught_up()
    table = a_name()
    await shapes.database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    before = await inserted(shapes.database)
    await shapes.database.execute(f"INSERT INTO {table} VALUES (1)")
    await passes(shapes, before, "a table that is not published was written")

    before = await inserted(shapes.database)
    await shapes.database.execute("SELECT pg_logical_emit_message(true, 'test', 'nothing')")
    await passes(shapes, before, "a message was written that is no change")

    before = await inserted(shapes.database)
    await shapes.database.execute("CREATE TABLE other_" + table + " ()")
    await passes(shapes, before, "only the catalogue was written")


async def test_it_moves_when_another_database_is_written(shapes: Shapes, postgres_server: str) -> None:
    await shapes.caught_up()
    before = await inserted(shapes.database)
    other = await asyncpg.connect(postgres_server)
    await other.execute("SELECT pg_logical_emit_message(true, 'test', 'nothing')")
    await other.close()
    await passes(shapes, before, "another database was written")


async def test_it_stands_just_below_the_end_of_the_log_when_all_is_quiet(shapes: Shapes) -> None:
    """A commit record that is written next begins where the log ends, so that is not passed yet."""
    position = await shapes.caught_up()
    written = await shapes.written()
    assert position <= written - 1
    await passes(shapes, written - 1, "nothing is written")


class Heard:
    """Announcements and log messages in the order of the stream, and where that order breaks the promise."""

    def __init__(self) -> None:
        self.announced: list[int] = []
        self.faults: list[str] = []
        self.messages = 0
        self._positions = Positions()

    async def take(self, message: Msg) -> None:
        _, handle, part = message.subject.split(".")
        if handle == "position":
            before = self._positions.of_all()
            self._positions.hear(Announcement.model_validate_json(message.data))
            position = self._positions.of_all()
            if position < before:
                self.faults.append(f"announced {position} after {before}")
            self.announced.append(position)
        elif part == "log":
            self.messages += 1
            newest = self._positions.of(handle)
            first = orjson.loads(message.data)[0]["headers"]["lsn"]
            if int(first) <= newest:
                self.faults.append(f"an entry at {first} after {newest} was announced")


async def test_no_entry_comes_at_or_below_it_whatever_is_written_and_killed(sync: Library, shapes: Shapes) -> None:
    followed, other = a_name(), a_name()
    for table in (followed, other):
        await shapes.database.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, n int, filler text)")
    shape = await shapes.open(followed)
    await shapes.database.execute(f"INSERT INTO {followed} (n) VALUES (0)")
    await shapes.caught_up()
    heard = Heard()
    await shapes.js.subscribe(subjects.SHAPE_ANY, stream=streams.SHAPES.name, ordered_consumer=True, cb=heard.take)
    stop = asyncio.Event()
    stop = asyncio.Event()
    # The shape was open before, so nothing that was held for it can be older than what was announced.
    writers = [asyncio.create_task(write(sync, (followed, other), number, stop)) for number in range(3)]
    for _ in range(2):
        seen = heard.messages
        await until(lambda seen=seen: moved(heard, seen + 40), "40 more messages")  # type: ignore[misc]
        await sync.kill("sync", signal.SIGKILL)
        await sync.start("sync")
    seen = heard.messages
    await until(lambda: moved(heard, seen + 40), "40 more messages")
    stop.set()
    await asyncio.gather(*writers)
    await shapes.caught_up()
    assert heard.faults == []
    assert len(set(heard.announced)) > 10
    rows = await shapes.database.fetchval(f"SELECT count(*) FROM {followed}")
    entries = [*await shape.snapshot(), *await shape.log()]
    assert len({entry["key"] for entry in entries}) == len(entries) == rows


async def moved(heard: Heard, messages: int) -> bool:
    return heard.messages >= messages


async def write(sync: Library, tables: tuple[str, str], number: int, stop: asyncio.Event) -> None:
    """Small, empty, rolled back and large transactions, on the followed table and on the other."""
    connection = await sync.connect()
    round_ = 0
    while not stop.is_set():
        round_ += 1
        table = tables[(round_ + number) % 2]
        size = 3000 if round_ % 200 == 0 else 1
        statement = f"INSERT INTO {table} (n, filler) SELECT g, repeat('x', 300) FROM generate_series(1, {size}) g"
        if round_ % 7 == 0:
            await connection.execute(f"BEGIN; {statement}; ROLLBACK")
        elif round_ % 5 == 0:
            await connection.execute(f"BEGIN; SAVEPOINT s; {statement}; ROLLBACK TO s; {statement}; COMMIT")
        else:
            await connection.execute(statement)
        await asyncio.sleep(0.002)  # not to outrun sync by far on a small machine
    await connection.close()
