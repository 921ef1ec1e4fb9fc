"""`medley up` is stopped, or killed: nothing is left running, and the next one finds everything as it was."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from tests.support import stacks


async def _query(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_a_stop_leaves_nothing_and_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with stacks.up(home, "--no-s3") as first:
        state = first.ready()
        asyncio.run(_query(state["postgres"], "CREATE TABLE kept AS SELECT 42 AS answer"))
        processes = first.processes()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(60) == 0
    assert stacks.alive(processes) == []
    assert first.state() is None
    with stacks.up(home, "--no-s3") as second:
        again = second.ready()
        assert asyncio.run(_query(again["postgres"], "SELECT answer FROM kept")) == 42
        assert again["postgres"] == state["postgres"]
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(60) == 0


def test_a_kill_leaves_nothing_either(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with stacks.up(home) as killed:
        state = killed.ready()
        processes = killed.processes()
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait()
    if sys.platform == "linux":  # the kernel tells the children; elsewhere the next start ends them
        stacks.until("what was left is gone", lambda: not stacks.alive(processes))
    with stacks.up(home) as after:
        after.active()
        stacks.until("what was left is gone", lambda: not stacks.alive(processes))
        assert set(after.ready()["pids"]) == set(state["pids"])


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    with stacks.up(tmp_path / "home", "--no-s3") as stack:
        state = stack.ready()
        processes = stack.processes()
        os.kill(state["pids"]["api"], signal.SIGSTOP)  # it cannot stop in order
        stack.process.send_signal(signal.SIGINT)
        stacks.until("it says so", lambda: "stopping" in stack.log.read_text())
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(60) == 0
    assert stacks.alive(processes) == []
