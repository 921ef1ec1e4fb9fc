"""One process that plays seeds: it reads plans from its standard input, a line each, and writes an outcome for each."""

import asyncio
import shutil
import sys
from pathlib import Path

from medley.cli.embedded.ports import draw_from_part
from tests.chaos.outcomes import Outcome
from tests.chaos.plan import Plan
from tests.chaos.play import play

_KEPT = ("*.log", "*.txt", "*.json")


async def work(made: Path, folder: Path, out: Path) -> None:
    for line in iter(sys.stdin.readline, ""):
        plan = Plan.model_validate_json(line)
        outcome = await kept(plan, made, folder / f"seed-{plan.seed}", out)
        print(outcome.model_dump_json(), flush=True)


async def kept(plan: Plan, made: Path, folder: Path, out: Path) -> Outcome:
    """Played, with what there is to look at in `out` when something differs, or a process ended by itself."""
    await asyncio.to_thread(folder.mkdir, mode=0o755)
    try:
        outcome = await play(plan, made, folder)
        if outcome.differences or outcome.ended:
            await asyncio.to_thread(_keep, plan, outcome, folder, out / folder.name)
            return outcome.model_copy(update={"folder": str(out / folder.name)})
        return outcome
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _keep(plan: Plan, outcome: Outcome, folder: Path, there: Path) -> None:
    there.mkdir(parents=True, exist_ok=True)
    for pattern in _KEPT:
        for file in folder.glob(pattern):
            shutil.copy(file, there)
    (there / "plan.json").write_text(plan.model_dump_json(indent=1))
    (there / "differences.txt").write_text("\n".join((*outcome.differences, *outcome.ended)))


if __name__ == "__main__":
    draw_from_part(int(sys.argv[1]), int(sys.argv[2]))
    asyncio.run(work(*map(Path, sys.argv[3:])))
