"""Writers: pgbench, which costs next to nothing, in as many sessions as wanted; and what it says of its latency."""

import asyncio
import statistics
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from medley.cli.embedded.wheels import postgres_bin

FILLER = "x" * 150
_SETTINGS = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Written:
    """Rows, and when the first and the last of them were inserted, by the wall clock."""

    rows: int
    first: float
    last: float

    @property
    def rate(self) -> float:
        return self.rows / max(self.last - self.first, 1e-6)


def single(table: str, shapes: int = 1) -> str:
    """One row, in one of so many playlists."""
    return (
        f"\\set p random(1, {shapes})\n"
        f"INSERT INTO {table} (playlist_id, title, filler) VALUES (:p, 'a title', '{FILLER}');\n"
    )


def many(table: str, rows: int, shapes: int = 1) -> str:
    """A transaction of so many rows, each in one of so many playlists."""
    return (
        f"INSERT INTO {table} (playlist_id, title, filler)"
        f" SELECT 1 + floor(random() * {shapes})::int, 'a title', '{FILLER}' FROM generate_series(1, {rows});\n"
    )


async def pgbench(
    dsn: str, script: str, sessions: int, transactions: int, rate: int = 0, patience: float = 300
) -> list[float]:
    """So many transactions by all sessions together, as fast as they go or at a rate (a second); their milliseconds."""
    with TemporaryDirectory() as folder:
        file, log = Path(folder) / "script.sql", Path(folder) / "log"
        file.write_text(script)
        options = ["-n", "-M", "prepared", "-f", str(file), "-c", str(sessions), "-t", str(transactions // sessions)]
        options += ["-R", str(rate)] if rate else []
        process = await asyncio.create_subprocess_exec(
            *(str(postgres_bin() / "pgbench"), *options, "-l", f"--log-prefix={log}", dsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_SETTINGS,
            start_new_session=True,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), patience)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"pgbench ended with {process.returncode}: {said.decode()[-500:]}")
        return await asyncio.to_thread(_logged, Path(folder))


def _logged(folder: Path) -> list[float]:
    lines = [line for part in folder.glob("log*") for line in part.read_text().splitlines()]
    return [int(line.split()[2]) / 1000 for line in lines]


async def written(session: asyncpg.Connection, table: str, where: str = "true") -> Written:
    row = await session.fetchrow(f"SELECT count(*), min(at), max(at) FROM {table} WHERE {where}")
    assert row is not None
    return Written(row[0], row[1] or 0.0, row[2] or 0.0)


def quantile(values: list[float], part: float) -> float:
    """By rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def median(values: list[float]) -> float:
    return statistics.median(values)
