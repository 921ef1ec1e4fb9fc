"""A child of `medley up` is killed: it is said, it comes back with a new pid, and the library works as before."""

import os
import signal
from pathlib import Path

import pytest

from tests.support import stacks


@pytest.mark.parametrize("name", ["sync", "ingest", "api", "nats", "s3", "postgres"])
def test_a_killed_child_comes_back(stack: stacks.Up, allowed: Path, name: str) -> None:
    before = stack.ready()
    os.kill(before["pids"][name], signal.SIGKILL)
    stack.new_pid(name, before["pids"][name])
    stack.active()
    after = stack.ready()
    assert {key: after[key] for key in ("api", "postgres", "nats", "s3")} == {
        key: before[key] for key in ("api", "postgres", "nats", "s3")
    }
    assert f"{name} was killed by SIGKILL" in stack.log.read_text()
    file = allowed / f"after-{name}.bin"
    file.write_bytes(os.urandom(2000))
    done = stacks.medley("ingest", "--home", stack.home, file)
    assert done.returncode == 0, done.stdout + done.stderr
    stack.active()


def test_a_child_that_keeps_dying_ends_the_stack(tmp_path: Path) -> None:
    with stacks.up(tmp_path / "home", "--no-s3", env={"SYNC_SLOT": "Not A Slot"}) as broken:
        assert broken.process.wait(stacks.DEADLINE) == 1
    said = broken.log.read_text()
    assert "sync ended with exit code 1" in said and "giving up" in said
    assert "slot" in said[said.rindex("starting it again") :], "its last lines are said"
    assert stacks.medley("info", "--home", broken.home).returncode == 1
