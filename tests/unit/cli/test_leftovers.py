"""What a killed stack left running is ended; a recycled pid is never touched."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from medley.cli import leftovers


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def state(process: subprocess.Popen[bytes], older: float = 0) -> dict[str, object]:
    created = psutil.Process(process.pid).create_time() - older
    return {"processes": {"sync": {"pid": process.pid, "created": created, "stop": int(signal.SIGTERM)}}}


def test_what_was_left_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    assert leftovers.end(state(sleeper)) == [sleeper.pid]
    assert not psutil.pid_exists(sleeper.pid)


def test_a_recycled_pid_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert leftovers.end(state(sleeper, older=3600)) == []
    assert sleeper.poll() is None


def test_nothing_was_left() -> None:
    assert leftovers.end(None) == []
    assert leftovers.end({"processes": {"sync": {"pid": 2**22 + 1, "created": 1.0, "stop": 15}}}) == []
