"""What a stack left running when it was killed: found by the pids of its state file, and ended.

On Linux the kernel has already told the children (see `embedded.child`); elsewhere this is what ends them.
A pid counts only with the same time of creation, so a recycled one is never touched.
"""

import contextlib
import signal
from typing import Any

import psutil

from medley.cli.embedded.child import Child, descendants
from medley.cli.home import State

_CLOCK_STEP = 2.0  # the time of creation is derived from the wall clock, which may be corrected by a little


def identity(child: Child) -> dict[str, Any]:
    """What `end` needs to recognise this process again, and to stop it well."""
    return {"pid": child.pid, "created": child.created, "stop": int(child.program.orphaned)}


def find(state: State | None) -> list[tuple[psutil.Process, signal.Signals]]:
    """The processes of that state that still run, each with the signal that ends it."""
    found = []
    for entry in (state or {}).get("processes", {}).values():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(entry["pid"]))
            same = abs(process.create_time() - entry["created"]) < _CLOCK_STEP
            if same and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, signal.Signals(entry["stop"])))
    return found


def end(state: State | None, within: float = 8) -> list[int]:
    """Ask what is left to stop, then kill it with all that it started; the pids that were found."""
    found = find(state)
    processes = [process for process, _ in found]
    trees = [child for process in processes for child in descendants(process.pid)]
    for process, number in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
    _, alive = psutil.wait_procs(processes, timeout=within)
    for process in [*alive, *trees]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs([*alive, *trees], timeout=5)
    return [process.pid for process in processes]
