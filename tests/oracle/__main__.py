"""`make oracle`: random scenarios on real servers until there were so many cases (a clause and a batch each)."""

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.oracle.generate import scenario
from tests.oracle.model import Scenario
from tests.oracle.outcomes import Difference
from tests.oracle.shrink import shrink
from tests.oracle.stage import Stage, stage
from tests.support import servers
from tests.support.databases import make_database

_SHAPES, _BATCHES = 24, 4
_MOST_SHRUNK = 12


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make oracle ARGS=…", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="clauses times batches")
    parser.add_argument("--seed", default="1", help="the first part of each scenario's seed")
    parser.add_argument("--only", help="play this one scenario: its whole seed, such as 1-17")
    parser.add_argument("--file", type=Path, help="play the scenario of this file")
    parser.add_argument("--at-once", type=int, default=10, help="scenarios that are played at the same time")
    parser.add_argument("--kill-seconds", type=float, default=15, help="sync is killed so often; 0: never")
    parser.add_argument("--no-shrink", action="store_true", help="report differences as they were found")
    parser.add_argument("--out", type=Path, default=Path("oracle-failures"), help="where smaller scenarios are written")
    return parser.parse_args()


def _scenarios(asked: argparse.Namespace, on: Stage) -> Iterator[Scenario]:
    """As many as it takes."""
    if asked.file:
        yield Scenario.model_validate_json(asked.file.read_text())
    elif asked.only:
        yield scenario(asked.only, _SHAPES, _BATCHES)
    else:
        for number in itertools.count():
            if on.tally.cases >= asked.cases:
                return
            yield scenario(f"{asked.seed}-{number}", _SHAPES, _BATCHES)


async def main(asked: argparse.Namespace, folder: Path) -> int:
    async with (
        servers.first_of(servers.POSTGRES_WAYS, folder) as postgres,
        servers.first_of(servers.NATS_WAYS, folder) as bus,
        stage(await make_database(postgres), bus, folder, alone="TEST_POSTGRES_DSN" not in os.environ) as on,
    ):
        return await _run(on, asked)


async def _run(on: Stage, asked: argparse.Namespace) -> int:
    begun = time.monotonic()
    found: list[tuple[Scenario, list[Difference]]] = []
    alone = asked.file or asked.only
    killing = asyncio.create_task(_kill(on, asked.kill_seconds)) if asked.kill_seconds and not alone else None
    done = 0
    async for played, differences in on.play_all(_scenarios(asked, on), asked.at_once):
        done += 1
        if differences:
            found.append((played, differences))
            for one in differences:
                print(f"\n{one.what} [{one.tier}] (ARGS='--only {one.seed}'): {one.clause[:300]}\n  {one.detail[:400]}")
        rate = on.tally.cases / (time.monotonic() - begun)
        print(
            f"\r{done} scenarios, {on.tally.cases} cases, {rate:.0f}/s, {on.kills} kills, "
            f"{sum(len(d) for _, d in found)} differences",
            end="",
            flush=True,
        )
    if killing is not None:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    print()
    if found and not asked.no_shrink:
        await _shrink_all(on, found, asked.out)
    _table(on, time.monotonic() - begun)
    return 1 if found else 0


async def _kill(on: Stage, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await on.restart_sync()


async def _shrink_all(on: Stage, found: list[tuple[Scenario, list[Difference]]], out: Path) -> None:
    """One of each sort and tier is made smaller and written down."""
    done: set[tuple[str, str]] = set()
    for played, differences in found:
        for one in differences:
            if (one.what, one.tier) not in done and len(done) < _MOST_SHRUNK:
                done.add((one.what, one.tier))
                small, last = await shrink(played, one, on.play)
                _show(small, last, out)


def _show(small: Scenario, last: Difference, out: Path) -> None:
    out.mkdir(exist_ok=True)
    path = out / f"{small.seed}-{last.shape}.json"
    path.write_text(small.model_dump_json(indent=1, exclude_defaults=True) + "\n")
    print(f"\n--- {last.what} [{last.tier}], from {small.seed}: {path}")
    for table in small.tables:
        print("   ", table.create("s").split("; CREATE TABLE")[0])
    for statement in small.rows:
        print("   ", statement.write(small.tables, "s"))
    for number, batch in enumerate(small.batches):
        for transaction in batch:
            print(f"    batch {number}:", [one.write(small.tables, "s") for one in transaction.statements])
    print(f"    {last.clause}\n    {last.detail}")


def _table(on: Stage, seconds: float) -> None:
    print(
        f"{on.tally.cases} cases in {seconds:.0f} s, {on.tally.cases / seconds:.0f}/s; sync was killed {on.kills} times"
    )
    print(f"{on.tally.boundaries} comparisons after single transactions; commits were late: {on.hides}")
    for title, counts in (("tier", on.tally.tiers), ("form", on.tally.forms), ("outcome", on.tally.outcomes)):
        for name, count in counts.most_common():
            print(f"{title:8} {name:50} {count:7}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="oracle-") as name:
        Path(name).chmod(0o755)  # Postgres may run as somebody else
        raise SystemExit(asyncio.run(main(_arguments(), Path(name))))
