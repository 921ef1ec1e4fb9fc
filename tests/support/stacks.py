"""A `medley up` as people start it: a process of its own, a home, a free port."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from medley.cli.home import Home, State
from medley.cli.settings import environment
from medley.runtime.errors import ConfigurationError
from tests.support import web

MEDLEY = (sys.executable, "-m", "medley.cli")
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
DEADLINE = 90.0
T = TypeVar("T")


def until(what: str, ask: Callable[[], T | None], within: float = DEADLINE) -> T:
    """The first answer of `ask` that is true; fails after `within` seconds, saying what was awaited."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {within:g} s: {what}")


def medley(*arguments: str | Path, within: float = DEADLINE, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*MEDLEY, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
        env={**environment(), **env},
    )


class Up:
    """One running `medley up`."""

    def __init__(self, process: subprocess.Popen[bytes], home: Path, log: Path) -> None:
        self.process = process
        self.home = home
        self.log = log

    def info(self) -> dict[str, Any]:
        """What `medley info --json` says now."""
        answer: dict[str, Any] = json.loads(medley("info", "--home", self.home, "--json").stdout)
        return answer

    def state(self) -> State | None:
        try:
            return Home(self.home).running()
        except ConfigurationError:
            return None

    def ready(self) -> State:
        def ask() -> State | None:
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            return self.state()

        return until("medley up is ready", ask)

    def active(self) -> None:
        """Wait until the API says that it serves."""
        until("the API is active", lambda: is_active(self.ready()["api"]))

    def new_pid(self, name: str, old: int) -> int:
        """Wait until this child is another process."""

        def ask() -> int | None:
            pid: int | None = self.ready()["pids"].get(name)
            return pid if pid != old else None

        return until(f"{name} has a new pid", ask)

    def processes(self) -> list[psutil.Process]:
        """It, and everything below it."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]


def is_active(api: str) -> bool:
    try:
        return bool(web.get(f"{api}/v1/health").json() == {"status": "active"})
    except (httpx.HTTPError, ValueError):
        return False


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie does not."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses on which any of them listens; one that ends meanwhile (a session of Postgres) listens on none."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            listened = process.net_connections("inet")
            found |= {each.laddr.ip for each in listened if each.status == psutil.CONN_LISTEN}
    return found


@contextmanager
def up(home: Path, *arguments: str | Path, port: int = 0, env: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Start it; end it when the block ends, and nothing of it may be left then."""
    log = home.parent / f"{home.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*MEDLEY, "up", "--home", str(home), "--port", str(port), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment(), **(env or {})},
        )
    stack = Up(process, home, log)
    try:
        yield stack
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
