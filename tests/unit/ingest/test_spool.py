"""The spool hashes what it takes, and leaves nothing behind, not even of a killed worker."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from medley.runtime.errors import ConfigurationError, Transient
from services.ingest.refusals import Refused
from services.ingest.sources import Opened
from services.ingest.spool import open_spool


async def _pieces(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


def _opened(*pieces: bytes, size: int | None = None) -> Opened:
    return Opened(sum(map(len, pieces)) if size is None else size, None, None, _pieces(*pieces))


async def test_it_hashes_and_counts_and_then_removes(tmp_path: Path) -> None:
    seen: list[int] = []
    with open_spool(tmp_path, 100) as spool:
        async with spool.take(_opened(b"ab", b"c"), seen.append) as spooled:
            assert spooled.path.read_bytes() == b"abc"
            assert (spooled.sha256, spooled.size) == (hashlib.sha256(b"abc").hexdigest(), 3)
        assert list(spool.folder.iterdir()) == []
        folder = spool.folder
    assert seen == [2, 3]
    assert not folder.exists()


async def test_nothing_stays_of_a_source_that_breaks(tmp_path: Path) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"half"
        raise Transient("gone")

    with open_spool(tmp_path, 100) as spool:
        with pytest.raises(Transient):
            async with spool.take(Opened(10, None, None, broken()), print):
                pass
        assert list(spool.folder.iterdir()) == []


@pytest.mark.parametrize("size", [11, 0])
async def test_too_many_bytes_are_refused_whatever_was_announced(tmp_path: Path, size: int) -> None:
    with open_spool(tmp_path, 10) as spool:
        with pytest.raises(Refused, match="INGEST_MAX_FILE_BYTES"):
            async with spool.take(_opened(b"123456", b"78901", size=size), lambda _: None):
                pass
        assert list(spool.folder.iterdir()) == []


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with open_spool(tmp_path, 10) as spool, pytest.raises(Refused, match="empty"):
        async with spool.take(_opened(), lambda _: None):
            pass


def test_a_killed_workers_files_go_and_a_living_ones_stay(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time\n"
        "from services.ingest.spool import open_spool\n"
        "with open_spool(pathlib.Path(sys.argv[1]), 10) as spool:\n"
        "    (spool.folder / 'left').write_bytes(b'x')\n"
        "    print(spool.folder, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        theirs = Path(worker.stdout.readline().strip())
        try:
            with open_spool(tmp_path, 10) as ours:
                assert (theirs / "left").exists()
                assert ours.folder.exists()
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            with open_spool(tmp_path, 10):
                assert not theirs.exists()
        finally:
            worker.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_a_setting_to_correct(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="INGEST_SPOOL_DIR"), open_spool(tmp_path / "file", 10):
        pass
