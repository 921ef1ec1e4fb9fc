"""A fault: one thing that is wrong in a migration file, and its place. Pure.

A fault is a value, never raised: a file is read to its end, and all that is wrong with it is told at once.
"""

from dataclasses import dataclass

_LONGEST = 40


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Line and column count from 1, in characters; `near` is what stands there, empty at the end of the file."""

    file: str
    line: int
    column: int
    what: str
    near: str = ""

    def __str__(self) -> str:
        near = f'near "{self.near}"' if self.near else "at the end of the file"
        return f"{self.file}:{self.line}:{self.column}: {self.what}, {near}"


def excerpt(text: str) -> str:
    """What a message shows of a text: its first line, and not all of a long one."""
    line = text.strip().split("\n", 1)[0].rstrip()
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
