"""Where the output of children goes: to our own with the child's name in front, or each into a file of its own."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, TextIO

_COLOURS = {"postgres": 34, "nats": 36, "s3": 35, "migrator": 33, "ingest": 32, "sync": 96, "api": 94, "medley": 1}
_LINES_KEPT = 30
_LONGEST_LINE = 64 * 1024
_LARGEST_FILE = 16 * 1024**2  # looked at when a child starts; one older file is kept


class Output(Protocol):
    """Takes the output of one child, over all its lives."""

    def target(self) -> IO[bytes] | int:
        """What to give to the child as its standard output; called before each start."""

    async def pump(self, process: asyncio.subprocess.Process) -> None:
        """Move output until the child closes it."""

    def tail(self) -> list[str]:
        """The last lines."""


class Screen:
    """Lines on one of our streams: `name     | line`, coloured on a terminal."""

    def __init__(self, stream: TextIO, colours: bool) -> None:
        self.stream = stream
        self.colours = colours

    def say(self, name: str, line: str) -> None:
        label = f"{name:<8} |"
        if self.colours:
            label = f"\x1b[{_COLOURS.get(name, 37)}m{label}\x1b[0m"
        with contextlib.suppress(OSError, ValueError):  # whoever read our output is gone
            self.stream.write(f"{label} {line}\n")
            self.stream.flush()

    def output(self, name: str) -> Output:
        return Prefixed(name, self.say)


class Prefixed:
    """Each line to `say`, and the last ones kept."""

    def __init__(self, name: str, say: Callable[[str, str], None]) -> None:
        self.name = name
        self._say = say
        self._kept: deque[str] = deque(maxlen=_LINES_KEPT)

    def target(self) -> int:
        return asyncio.subprocess.PIPE

    async def pump(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(_LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._line(line)
        if rest:
            self._line(rest)

    def _line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._kept.append(text)
        self._say(self.name, text)

    def tail(self) -> list[str]:
        return list(self._kept)


class LogFile:
    """Straight into a file, with no work for us."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def target(self) -> IO[bytes]:
        with contextlib.suppress(OSError):
            if self.path.stat().st_size > _LARGEST_FILE:
                self.path.replace(self.path.with_suffix(".log.1"))
        return self.path.open("ab")

    async def pump(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()

    def tail(self) -> list[str]:
        with contextlib.suppress(OSError):
            return self.path.read_text(errors="replace").splitlines()[-_LINES_KEPT:]
        return []
