"""`make bench`: measure Medley on this machine, each line beside its limit, and write a table with curves.

    make bench                              everything, about 25 minutes
    make bench ONLY=latency,crowds          families, or words of a line's name
    make bench COMPARE=old.json             and what changed since
    make bench ARGS=--quick                 small sizes, one run
    make bench ARGS="--url http://… --database postgresql://… --pid …"     another server that speaks the protocol

Results: tests/bench/results/latest.json, latest.md, *.svg. Figures are those of a whole machine: leave it alone.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import (
    crowds,
    first_sync,
    idle,
    ingest,
    latency,
    report,
    requests,
    results,
    routing,
    running,
    shapes,
    stage,
    throughput,
)
from tests.bench.frame import Line

FOLDER = Path(__file__).parent / "results"
LINES: list[Line] = [
    line
    for family in (idle, latency, requests, throughput, first_sync, crowds, shapes, ingest, routing)
    for line in family.LINES
]


def chosen(only: str, ours: bool) -> list[Line]:
    """Lines that one of the words, parted by commas, names: a family, or a part of a line's name."""
    words = [word.strip().lower() for word in only.split(",") if word.strip()]
    return [
        line
        for line in LINES
        if (ours or not line.ours_only) and (not words or any(_names(word, line) for word in words))
    ]


def _names(word: str, line: Line) -> bool:
    families = {line.family for line in LINES}
    return word == line.family if word in families else word in line.name.lower()


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()[0]
    lines = chosen(arguments.only, ours=not arguments.url)
    if not lines:
        families = ", ".join(dict.fromkeys(line.family for line in LINES))
        raise SystemExit(f"no line is named {arguments.only!r}; families: {families}")
    steps = running.plan(lines, arguments.quick)
    progress = running.Progress(steps, results.seconds_known(arguments.results / "latest.json"))
    there = partial(stage.theirs, arguments.url, arguments.database, arguments.pid) if arguments.url else stage.ours
    found, info = await running.run(there, steps, 1 if arguments.quick else arguments.runs, progress)
    return results.document(results.machine(load, info), found)


async def _until_told(arguments: argparse.Namespace) -> dict[str, Any]:
    """SIGTERM ends it as Ctrl-C does: with everything that was started."""
    task = asyncio.ensure_future(measure(arguments))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="families or words of lines, parted by commas")
    parser.add_argument("--quick", action="store_true", help="one run at small sizes")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--compare", type=Path, help="a latest.json of before")
    parser.add_argument("--results", type=Path, default=FOLDER, help="the folder for what is written")
    parser.add_argument("--url", help="of another server that speaks the shape protocol")
    parser.add_argument("--database", help="its database: tables are made there, and dropped")
    parser.add_argument("--pid", type=int, help="its process, where it runs on this machine")
    arguments = parser.parse_args(given)
    if arguments.url and not arguments.database:
        parser.error("--url needs --database")
    old = json.loads(arguments.compare.read_text()) if arguments.compare else None
    try:
        document = asyncio.run(_until_told(arguments))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    arguments.results.mkdir(exist_ok=True, parents=True)
    (arguments.results / "latest.json").write_text(json.dumps(document, indent=1))
    report.write(document, arguments.results)
    print(report.markdown(document))
    if old is not None:
        print("\n".join(["Since the other run; ! is beyond the noise of both:", "", *report.compared(old, document)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
