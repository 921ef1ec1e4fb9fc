"""A large transaction that came after small ones is not undone for each of them: they are shown together."""

import signal
from itertools import groupby

from tests.support.library import Library
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
        for _ in range(_SMALL):
            await database.execute("UPDATE songs_behind SET n = n + 1")
        await database.execute(f"INSERT INTO songs_behind SELECT n, 0 FROM generate_series(100, {99 + _LARGE}) n")
    finally:
        sync.processes["sync"].send_signal(signal.SIGCONT)
    await shapes.caught_up()
    log = await shape.log()
    seen = [txids for txids, _ in groupby(log, key=lambda entry: entry["headers"]["txids"])]
    assert [entry["value"]["n"] for entry in log if entry["value"]["id"] == "1"][-1] == str(_SMALL)
    assert sum(map(len, seen)) == _SMALL, "each is named"
    assert len(seen) < _SMALL
