"""`stack`: one `medley up` for the whole session, with the samples in an allowed folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stacks


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Up]:
    """Ready. A test that breaks something waits until `stack.active()` before it ends."""
    folder = tmp_path_factory.mktemp("stack")
    with stacks.up(folder / "home", "--allow", stacks.SAMPLES, "--allow", folder) as running:
        running.active()
        yield running


@pytest.fixture(scope="session")
def allowed(stack: stacks.Up) -> Path:
    """A folder whose files the stack may ingest."""
    folder = stack.home.parent / "files"
    folder.mkdir()
    return folder
