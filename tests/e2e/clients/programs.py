"""JavaScript programs that drive a published client, and what they say about what it holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

FOLDER = Path(__file__).resolve().parents[1] / "js"
_PATIENCE = 60
_LINE = 64 * 1024 * 1024

Line = dict[str, Any]
Row = dict[str, Any]


class Program:
    """A running program: `said` is every line so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[Line] = []

    async def says(self, accepts: Callable[[Line], bool], what: str = "what was waited for") -> Line:
        """Read on until a line is accepted; that line."""
        while True:
            self.said.append(json.loads(await self._line(what)))
            if accepts(self.said[-1]):
                return self.said[-1]

    async def prints(self, text: str) -> None:
        """Read on until a line, of a program that does not speak JSON, has this text in it."""
        while text not in await self._line(text):
            pass

    async def shows(self, rows: list[Row], name: str = "shape") -> Line:
        """Read on until the shape of this name holds exactly these rows."""
        wanted = ordered(rows)
        return await self.says(
            lambda line: line.get("name") == name and "rows" in line and ordered(line["rows"]) == wanted,
            f"{name} shows {str(rows)[:500]}",
        )

    async def tell(self, action: str, **details: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": action, **details}).encode() + b"\n")
        await self._process.stdin.drain()

    async def ends(self) -> int:
        """Wait until it ends by itself, reading what it still says; its exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            while text := await self._process.stdout.readline():
                self.said.append(json.loads(text))
            return await self._process.wait()

    async def _line(self, what: str) -> str:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE)
        except TimeoutError:
            raise AssertionError(f"not within {_PATIENCE} s: {what}; it said last {self._last()}") from None
        assert line, f"the program ended before {what}; it said last {self._last()}"
        return line.decode()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def _last(self) -> str:
        return str(self.said[-1])[:1000] if self.said else "nothing"


@asynccontextmanager
async def running(node: str, script: Path | str, *flags: str, **orders: Any) -> AsyncIterator[Program]:
    """A program of the folder `js`, given its orders; killed in the end. What it writes to stderr is pytest's."""
    process = await asyncio.create_subprocess_exec(
        node,
        *flags,
        str(script),
        json.dumps(orders),
        cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE,
    )
    program = Program(process)
    try:
        yield program
    finally:
        await program.kill()


def ordered(rows: list[Row]) -> list[str]:
    """Rows in an order of their own, whichever the order of rows and columns was."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


async def selected(connection: asyncpg.Connection, table: str, where: str = "true") -> list[Row]:
    """What SELECT says, as JSON: comparable with a client's rows of numbers, texts, booleans and json."""
    query = f"SELECT row_to_json(t)::text FROM {table} t WHERE {where}"
    return [json.loads(row[0]) for row in await connection.fetch(query)]
