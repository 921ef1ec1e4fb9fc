"""`make bench`: measure the path from an insert to a client on this machine, and what many shapes cost; print a table.

Everything runs here: Postgres with fsync, NATS, sync, api, and the client. Each line is repeated and the median is
printed with every run beside it, since a small machine is noisy. `--json FILE` keeps the figures.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from medley.cli.embedded.ports import free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.server import running
from tests.bench import many, path, router
from tests.support.library import running_library
from tests.support.servers import embedded_nats


async def measure_path(runs: int) -> list[dict[str, Any]]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="medley-bench-"))
    postgres = Postgres(folder / "postgres", free_port(), secrets.token_urlsafe(12))  # with fsync
    async with (
        running(postgres, folder / "postgres.log"),
        embedded_nats(folder) as nats,
        running_library(postgres.url, nats, folder) as library,
    ):
        return [await _line(name, partial(run, library), runs) for name, run in path.LINES]


async def measure_router(runs: int) -> list[dict[str, Any]]:
    """In this process, and with Postgres where it decides."""
    lines = [await _line(name, partial(asyncio.to_thread, run), runs) for name, run in router.LINES]
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="medley-bench-"))
    postgres = Postgres(folder / "postgres", free_port(), secrets.token_urlsafe(12))
    async with running(postgres, folder / "postgres.log"):
        return lines + [await _line(name, partial(run, postgres.url), runs) for name, run in many.LINES]


SECTIONS = {"router": measure_router, "path": measure_path}


async def measure(sections: list[str], runs: int) -> list[dict[str, Any]]:
    return [line for name in sections for line in await SECTIONS[name](runs)]


async def _line(name: str, run: Callable[[], Awaitable[dict[str, float]]], runs: int) -> dict[str, Any]:
    results = []
    for number in range(runs):
        results.append(await run())
        print(f"  {name} {number + 1}/{runs}: {_shown(results[-1])}", file=sys.stderr)
    keys = results[0].keys()
    return {
        "line": name,
        **{key: statistics.median(result[key] for result in results) for key in keys},
        "runs": results,
    }


def _shown(result: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:,.2f}" for key, value in result.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=list(SECTIONS), help="one section instead of all")
    arguments = parser.parse_args()
    sections = [arguments.only] if arguments.only else list(SECTIONS)
    lines = asyncio.run(measure(sections, arguments.runs))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"\n{machine}; medians of {arguments.runs} runs\n")
    for line in lines:
        figures = {key: value for key, value in line.items() if key not in ("line", "runs")}
        print(f"{line['line']:<44} {_shown(figures)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine, "lines": lines}, indent=1))


if __name__ == "__main__":
    main()
