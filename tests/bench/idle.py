"""Idle: what the services take when nobody asks for anything."""

import asyncio

from tests.bench.frame import Goal, Line, Sample
from tests.bench.stage import Stage, services
from tests.bench.usage import rss


async def idle(stage: Stage, seconds: int) -> Sample:
    await stage.quiet()
    with stage.metered() as used:
        await asyncio.sleep(seconds)
    spent = {name: cpu / seconds * 100 for name, cpu in used().cpu.items()}
    held = {name: size / 1e6 for name, size in rss(stage.pids).items() if name != "postgres"}
    figures = {
        "MB of all services": sum(services(held).values()),
        "% of a core, services": sum(services(spent).values()),
        "% of a core, with Postgres, NATS, S3": sum(spent.values()),
        **{f"MB of {name}": size for name, size in held.items()},
    }
    return Sample(figures, 0, used())


LINES = [
    Line(
        *("idle", "nobody asks for anything", "seconds", (10,), (3,), idle),
        goals=(
            Goal("MB of all services", "<=", 300, peer="193-221 for its one server"),
            Goal("% of a core, services", "<=", 2),
        ),
        ours_only=True,
    ),
]
