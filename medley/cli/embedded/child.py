"""One child process: started in a session of its own, never outliving us, stopped within a bound."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from medley.cli.embedded.account import OURSELVES, Account

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. `stop` asks it to end, within `grace` seconds; `orphaned` is what the kernel sends when we die;
    `litter` are files outside its folder that it forgets."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    account: Account = OURSELVES
    stop: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL
    grace: float = 6
    litter: tuple[Path, ...] = ()


class Child:
    """A running Program."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self.process = process
        self.pid = process.pid
        self.created = 0.0
        with contextlib.suppress(psutil.Error):
            self.created = psutil.Process(process.pid).create_time()

    @classmethod
    async def start(cls, program: Program, output: IO[bytes] | int) -> "Child":
        """Start it with standard output and error going to `output` (a file, or asyncio.subprocess.PIPE)."""
        process = await asyncio.create_subprocess_exec(
            *_command(program),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(program.env),
            cwd=program.cwd,
            start_new_session=True,
            preexec_fn=_die_with_us(program.orphaned),
            **program.account.arguments(),
        )
        return cls(program, process)

    async def wait(self) -> int:
        """The exit code; negative for a signal."""
        return await self.process.wait()

    async def stop(self) -> None:
        """Ask, wait for `grace` seconds, then kill it with everything that it started."""
        tree = descendants(self.pid)
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(self.program.stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), self.program.grace)
        self.kill(tree)
        await self.process.wait()
        for path in self.program.litter:
            path.unlink(missing_ok=True)

    def kill(self, tree: list[psutil.Process] | None = None) -> None:
        """Kill it at once, and `tree` (by default everything that it started)."""
        tree = descendants(self.pid) if tree is None else tree
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.kill()  # psutil refuses when the pid belongs to another process by now


def descendants(pid: int) -> list[psutil.Process]:
    """Everything that the process started, itself not included; sessions of their own do not hide them."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _command(program: Program) -> tuple[str, ...]:
    prefix = program.account.prefix
    if not prefix:
        return program.argv
    # Changing the account clears the parent-death signal, so setpriv has to set it after that.
    return (*prefix, f"--pdeathsig={program.orphaned.name}", *program.argv)


def _die_with_us(number: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)

    return arrange
