"""`make chaos`: seeds of faults on real processes, several at once; fails when one client differs once."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.outcomes import Outcome, summary, table
from tests.chaos.plan import plan
from tests.chaos.stage import template

_LINE = 2**24  # bytes of an outcome, at most


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos SEEDS=… ARGS=…", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--only", type=int, help="this one alone")
    parser.add_argument("--seconds", type=float, default=4, help="of faults in each seed; part of what it draws")
    parser.add_argument("--at-once", type=int, default=3, help="seeds that are played at the same time")
    parser.add_argument("--json", type=Path, help="write the summary and every outcome there, too")
    parser.add_argument("--out", type=Path, default=Path("chaos-failures"), help="where logs of failures are kept")
    return parser.parse_args()


class Crew:
    """Workers that share the seeds."""

    def __init__(self, asked: argparse.Namespace, made: Path, folder: Path) -> None:
        self._asked, self._made, self._folder = asked, made, folder
        first = asked.seed if asked.only is None else asked.only
        self._seeds: Iterator[int] = iter(range(first, first + (asked.seeds if asked.only is None else 1)))
        self.outcomes: list[Outcome] = []
        self.told = False

    def stop(self) -> None:
        """Begin no more seeds."""
        self.told = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._asked.at_once):
                group.create_task(self._member(number))

    async def _member(self, number: int) -> None:
        process: asyncio.subprocess.Process | None = None
        try:
            for seed in self._seeds:
                if self.told:
                    break
                if process is None or process.returncode is not None:
                    process = await self._start(number)
                outcome = await self._play(process, seed)
                self.outcomes.append(outcome)
                self._say(outcome)
        finally:  # it plays its last seed to the end, and takes its servers away
            if process is not None and process.stdin is not None:
                process.stdin.close()
                await process.wait()

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        folder = self._folder / f"worker-{number}"
        folder.mkdir(exist_ok=True)
        folders = (str(path.resolve()) for path in (self._made, folder, self._asked.out))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.worker", str(number), str(self._asked.at_once), *folders),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE,
        )

    async def _play(self, process: asyncio.subprocess.Process, seed: int) -> Outcome:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(plan(seed, self._asked.seconds).model_dump_json().encode() + b"\n")
        line = await process.stdout.readline()
        if line:
            return Outcome.model_validate_json(line)
        code = await process.wait()
        return Outcome(seed=seed, differences=(f"the worker ended with {code}",))

    def _say(self, outcome: Outcome) -> None:
        for text in (*outcome.differences, *outcome.ended):
            print(f"\nseed {outcome.seed}: {text[:600]}")
        if outcome.differences:
            faults = plan(outcome.seed, self._asked.seconds).faults
            print(f"  faults: {[one.model_dump() for one in faults]}\n  logs: {outcome.folder}")
        failed = sum(bool(one.differences) for one in self.outcomes)
        print(f"\r{len(self.outcomes)} seeds, {failed} failed", end="", flush=True)


async def main(asked: argparse.Namespace, folder: Path) -> int:
    begun = time.monotonic()
    (folder / "template").mkdir(mode=0o755)
    async with template(folder / "template") as made:
        crew = Crew(asked, made, folder)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, crew.stop)
        await crew.run()
    found = summary(crew.outcomes)
    print("\n" + table(found, time.monotonic() - begun))
    if asked.json:
        outcomes = ",\n".join(one.model_dump_json() for one in sorted(crew.outcomes, key=lambda one: one.seed))
        asked.json.write_text(f'{{"summary": {found.model_dump_json()},\n"outcomes": [{outcomes}]}}\n')
    return 1 if found.failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        Path(name).chmod(0o755)  # Postgres may run as somebody else
        raise SystemExit(asyncio.run(main(_arguments(), Path(name))))
