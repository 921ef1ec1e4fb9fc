"""What processes use, from /proc: CPU of whole trees of processes, also of those that ended meanwhile; peaks of memory.

CPU is counted by the kernel in steps of 10 ms for each process, so a sample should take some tenths of a second of it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.frame import Used

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_QUIET, _LOOK = 0.05, 0.4


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    own: float
    ended: float
    """Of its children that have ended."""


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (_PROC / entry.name / "stat").read_text().rpartition(")")[2].split()
                user, system, children_user, children_system = (int(value) / _TICK for value in fields[11:15])
                found[int(entry.name)] = _Process(int(fields[1]), user + system, children_user + children_system)
    return found


def _tree(root: int, processes: Mapping[int, _Process]) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    found = [root] if root in processes else []
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu(roots: Mapping[str, int]) -> dict[str, float]:
    """Seconds since each began, with all below it."""
    processes = _processes()
    return {
        name: sum(processes[pid].own + processes[pid].ended for pid in _tree(root, processes))
        for name, root in roots.items()
    }


def rss(roots: Mapping[str, int], line: str = "VmRSS") -> dict[str, int]:
    """Resident bytes; pages that processes of one tree share are counted in each."""
    processes = _processes()
    return {name: sum(_status(pid, line) for pid in _tree(root, processes)) for name, root in roots.items()}


def _status(pid: int, line: str) -> int:
    with suppress(OSError):
        for text in (_PROC / str(pid) / "status").read_text().splitlines():
            if text.startswith(f"{line}:"):
                return int(text.split()[1]) * 1024
    return 0


def forget_peaks(roots: Mapping[str, int]) -> None:
    """From now on a peak is counted afresh; where that is not allowed, it is that of the process's whole life."""
    processes = _processes()
    for root in roots.values():
        for pid in _tree(root, processes):
            with suppress(OSError):
                (_PROC / str(pid) / "clear_refs").write_text("5")


class Meter:
    """Between `start` and `stop`: what the programs used, and the clients beside."""

    def __init__(self, programs: Mapping[str, int], clients: Callable[[], Iterable[int]]) -> None:
        self._programs, self._clients = programs, clients
        self.used = Used()

    def start(self) -> None:
        forget_peaks(self._programs)
        self._cpu = cpu(self._programs)
        self._client_cpu = self._of_clients()  # last, and first at the end: our own looking is no client's work

    def stop(self) -> None:
        client = self._of_clients() - self._client_cpu
        after = cpu(self._programs)
        spent = {name: after[name] - before for name, before in self._cpu.items()}
        # Sessions of Postgres map the same memory: their sum says nothing.
        resident = {name: root for name, root in self._programs.items() if name != "postgres"}
        self.used = Used(spent, rss(resident, "VmHWM"), client)

    def _of_clients(self) -> float:
        """Those that run, this process, and those that it has waited for."""
        ours, processes = os.times(), _processes()
        apart = sum(processes[pid].own for pid in self._clients() if pid in processes)
        return apart + ours.user + ours.system + ours.children_user + ours.children_system


async def quiet(roots: Mapping[str, int], patience: float) -> None:
    """Return when these have nothing left to do, or after `patience` seconds."""
    end = time.monotonic() + patience
    before, then = sum(cpu(roots).values()), time.monotonic()
    while then < end:
        await asyncio.sleep(_LOOK)
        now, spent = time.monotonic(), sum(cpu(roots).values())
        if (spent - before) / (now - then) < _QUIET:
            return
        before, then = spent, now
