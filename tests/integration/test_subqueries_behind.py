"""A large transaction that came after small ones is not undone for each of them: they are shown together."""

import signal
from itertools import groupby

import pytest

from medley.contracts import subjects
from tests.support.library import Library, until
from tests.support.shapes import Shapes

_SMALL, _LARGE = 12, 20_000


async def test_small_transactions_before_a_large_one_are_few_steps(shapes: Shapes, sync: Library) -> None:
    database = shapes.database
    await database.execute(
        "CREATE TABLE songs_behind (id int PRIMARY KEY, n int); CREATE TABLE lists_behind (song int PRIMARY KEY);"
        "INSERT INTO songs_behind SELECT n, 0 FROM generate_series(1, 5) n; INSERT INTO lists_behind VALUES (1), (2)"
    )
    shape = await shapes.open("songs_behind", where="id IN (SELECT song FROM lists_behind)")
    await shape.snapshot()
    sync.processes["sync"].send_signal(signal.SIGSTOP)
    try:
        update = "UPDATE songs_behind SET n = n + 1 RETURNING pg_current_xact_id()::text::bigint"
        small = {await database.fetchval(update) for _ in range(_SMALL)}
        await database.execute(f"INSERT INTO songs_behind SELECT n, 0 FROM generate_series(100, {99 + _LARGE}) n")
    finally:
        sync.processes["sync"].send_signal(signal.SIGCONT)
    await shapes.caught_up()
    log = await shape.log()
    seen = [txids for txids, _ in groupby(log, key=lambda entry: entry["headers"]["txids"])]
    assert [entry["value"]["n"] for entry in log if entry["value"]["id"] == "1"][-1] == str(_SMALL)
    assert small <= {txid for txids in seen for txid in txids}, "each is named"
    assert len(seen) < _SMALL


async def test_what_waits_for_a_locked_table_takes_no_memory_without_end(shapes: Shapes, sync: Library) -> None:
    database = shapes.database
    await database.execute(
        "CREATE TABLE songs_locked (id int PRIMARY KEY, text text); CREATE TABLE lists_locked (song int PRIMARY KEY);"
        "INSERT INTO songs_locked SELECT n, '' FROM generate_series(1, 100) n; INSERT INTO lists_locked VALUES (1), (2)"
    )
    where = "id IN (SELECT song FROM lists_locked)"
    shape = await shapes.open("songs_locked", where=where)
    await shape.snapshot()
    locking = await sync.connect()
    try:
        await locking.execute("BEGIN; LOCK TABLE lists_locked")

        async def ended() -> bool:
            await database.execute("UPDATE songs_locked SET text = repeat(md5(random()::text), 400)")
            return not await shapes.is_open(shape.handle)

        await until(ended, "the shape ends, though the table is still locked")
    finally:
        await locking.close()
    assert "wait for its subqueries" in (sync.logs / "sync.log").read_text()
    again = await shapes.open("songs_locked", where=where)
    assert [row["value"]["id"] for row in await again.snapshot()] == ["1", "2"]


@pytest.mark.parametrize("turn", range(6))  # sync looks at its tables now and then: it may come in between
async def test_nothing_is_concluded_from_a_table_that_was_taken_out(shapes: Shapes, turn: int) -> None:
    """Its rows change without a trace: what they were before cannot be told from what they are."""
    database, outer, inner = shapes.database, f"songs_out_{turn}", f"lists_out_{turn}"
    await database.execute(
        f"CREATE TABLE {outer} (id int PRIMARY KEY, n int); CREATE TABLE {inner} (song int PRIMARY KEY);"
        f"INSERT INTO {outer} SELECT n, 0 FROM generate_series(1, 5) n; INSERT INTO {inner} VALUES (1), (2)"
    )
    shape = await shapes.open(outer, where=f"id IN (SELECT song FROM {inner})")
    await shape.snapshot()
    said = await shapes.client.subscribe(subjects.shape_log(shape.handle))
    await database.execute(f"ALTER PUBLICATION medley DROP TABLE {inner}")
    await database.execute(f"INSERT INTO {inner} VALUES (3)")
    await database.execute(f"UPDATE {outer} SET n = 1 WHERE id = 3")

    async def ended() -> bool:
        return not await shapes.is_open(shape.handle)

    await until(ended, "the shape ends")
    await shapes.client.flush()
    assert said.pending_msgs == 0, "an update of a row that is not there"
