"""Two seeds of chaos, for as long as a suite may take: `make chaos` plays as many as you like."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from medley.cli.embedded.wheels import MissingWheel
from tests.chaos.plan import plan
from tests.chaos.stage import template
from tests.chaos.worker import kept
from tests.support.servers import nothing


@pytest_asyncio.fixture(scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Servers that are ours alone: they are killed."""
    try:
        async with template(tmp_path_factory.mktemp("template")) as folder:
            yield folder
    except MissingWheel as error:
        nothing([str(error)])


@pytest.mark.parametrize("seed", [1, 11])
async def test_every_client_equals_select_afterwards(seed: int, made: Path, tmp_path: Path) -> None:
    """What differs, and the logs, are in the folder that the outcome names."""
    outcome = await kept(plan(seed, 2), made, tmp_path / "played", tmp_path / "kept")
    assert outcome.differences == (), outcome.folder
    assert outcome.transactions > 0
    assert outcome.entries > 0
    assert len(outcome.recoveries) == len(outcome.faults)
