"""The oracle, for as long as a suite may take: a few hundred random cases, and every scenario that once failed."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.oracle.generate import scenario
from tests.oracle.model import Scenario
from tests.oracle.stage import Stage, stage
from tests.support.databases import MakeDatabase

CORPUS = {path.stem: path.read_text() for path in sorted(Path(__file__).with_name("corpus").glob("*.json"))}


@pytest_asyncio.fixture(scope="module")
async def on(
    new_database: MakeDatabase, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with stage(
        await new_database(),
        fresh_nats_url,
        tmp_path_factory.mktemp("oracle"),
        alone="TEST_POSTGRES_DSN" not in os.environ,
    ) as running:
        yield running


@pytest.mark.parametrize("name", CORPUS)
async def test_what_once_failed(on: Stage, name: str) -> None:
    assert await on.play(Scenario.model_validate_json(CORPUS[name])) == []


async def test_random_scenarios(on: Stage) -> None:
    """`make oracle ARGS="--only SEED"` plays one of them alone, and makes it smaller."""
    found = []
    scenarios = [scenario(f"suite-{number}") for number in range(5)]
    async for _, differences in on.play_all(scenarios, at_once=5):
        found += differences
    assert found == []
    assert on.tally.cases > 200
    assert {"index", "python", "postgres", "postgres + index"} <= on.tally.tiers.keys()
    assert on.tally.outcomes["equal, and it changed"] > 100


async def test_sync_is_killed_in_between(on: Stage) -> None:
    found = []
    async for _, differences in on.play_all([scenario(f"killed-{number}") for number in range(3)], at_once=1):
        found += differences
        await on.restart_sync()
    assert found == []
