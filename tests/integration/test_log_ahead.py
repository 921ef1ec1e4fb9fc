"""A log may go further than CHANGES when everything dies at once, for changes are given to fan-out while CHANGES is
written. It goes on when its last transaction comes again, and ends when that never was in this database."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import nats
import pytest

from medley.contracts import headers, streams, subjects
from tests.support.databases import MakeDatabase
from tests.support.library import Follower, Library, rows_of, running_library, until


@pytest.fixture
async def library(new_database: MakeDatabase, fresh_nats_url: str, tmp_path: Path) -> AsyncIterator[Library]:
    async with running_library(await new_database(), fresh_nats_url, tmp_path) as running:
        yield running


@pytest.fixture
async def session(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await library.connect()
    await connection.execute("CREATE TABLE notes (id int PRIMARY KEY)")
    yield connection
    await connection.close()


async def _append(library: Library, id: int, lsn: int) -> None:
    """As fan-out does, to the one log that there is."""
    bus = await nats.connect(library.nats_url)
    js = bus.jetstream()
    last = await js.get_last_msg(streams.SHAPES.name, subjects.SHAPE_LOG_ANY)
    before = last.headers or {}
    entry = {
        "key": f'"public"."notes"/"{id}"',
        "value": {"id": str(id)},
        "headers": {
            "operation": "insert",
            "relation": ["public", "notes"],
            "lsn": str(lsn),
            "op_position": 0,
            "txids": [1],
            "last": True,
        },
    }
    payload = json.dumps([entry], separators=(",", ":")).encode()
    await js.publish(
        str(last.subject),
        payload,
        headers={
            headers.AFTER: before[headers.OFFSET],
            headers.OFFSET: f"{lsn}_0",
            headers.LAST: "true",
            headers.BYTES: str(int(before[headers.BYTES]) + len(payload)),
            headers.EXPECTED_LAST_SUBJECT_SEQUENCE: str(last.seq),
        },
    )
    await bus.close()


async def _newest_transaction(session: asyncpg.Connection) -> int:
    """The LSN by which Postgres will tell it: it stands in its Begin message."""
    slot = await session.fetchval("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
    told = await session.fetch(
        "SELECT data FROM pg_logical_slot_peek_binary_changes"
        "($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'medley') WHERE get_byte(data, 0) = ascii('B')",
        slot,
    )
    return int.from_bytes(told[-1]["data"][1:9], "big")


async def test_a_log_that_ends_with_what_never_was_is_left(library: Library, session: asyncpg.Connection) -> None:
    async with Follower(library.api, "notes") as follower:
        await follower.reaches([])
        await session.execute("INSERT INTO notes VALUES (1)")
        await follower.reaches(await rows_of(session, "notes"))
        await library.kill("sync")
        lsn = await session.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
        await _append(library, 99, lsn)

        async def shown() -> bool:
            return '"public"."notes"/"99"' in follower.copy.rows

        await until(shown, "the client has what never was")
        await session.execute("INSERT INTO notes VALUES (2)")
        await library.start("sync")
        await follower.reaches(await rows_of(session, "notes"))
        assert any(one["headers"].get("control") == "must-refetch" for one in follower.messages)


async def test_a_log_that_ends_with_what_comes_again_goes_on(library: Library, session: asyncpg.Connection) -> None:
    async with Follower(library.api, "notes") as follower:
        await follower.reaches([])
        await session.execute("INSERT INTO notes VALUES (1)")
        await follower.reaches(await rows_of(session, "notes"))
        await library.kill("sync")
        await session.execute("INSERT INTO notes VALUES (2)")
        await _append(library, 2, await _newest_transaction(session))
        await library.start("sync")
        await session.execute("INSERT INTO notes VALUES (3)")
        await follower.reaches(await rows_of(session, "notes"))
        assert not any(one["headers"].get("control") == "must-refetch" for one in follower.messages)
