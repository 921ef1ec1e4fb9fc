"""The spool: where a worker keeps the files of its running jobs, and only those.

Each worker has a folder of its own, held by a file lock beside it; the lock dies with the process. A worker that starts
removes the folders whose lock nobody holds, so a killed worker's files do not stay.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import structlog

from medley.blobs.port import Spooled
from medley.runtime.errors import ConfigurationError, Transient
from services.ingest.refusals import Refused
from services.ingest.sources import Opened

log = structlog.get_logger()

Progress = Callable[[int], None]


class Spool:
    """One worker's folder."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes

    @asynccontextmanager
    async def take(self, opened: Opened, progress: Progress) -> AsyncIterator[Spooled]:
        """The source's bytes as a local file, hashed on the way; gone when the block ends.

        Raises Refused when there are none or too many, Transient when the disk is full.
        """
        self._check(opened.size)
        path = self.folder / uuid4().hex
        try:
            yield await self._write(path, opened, progress)
        finally:
            await opened.pieces.aclose()
            path.unlink(missing_ok=True)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise Refused(f"found more than {self._max_bytes} bytes, the most that is taken (INGEST_MAX_FILE_BYTES)")

    async def _write(self, path: Path, opened: Opened, progress: Progress) -> Spooled:
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("xb", buffering=0) as file:

                def keep(piece: bytes) -> None:
                    digest.update(piece)
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[file.write(rest) :]

                async for piece in opened.pieces:
                    size += len(piece)
                    self._check(size)
                    await asyncio.to_thread(keep, piece)
                    progress(size)
        except OSError as error:
            raise Transient(f"the spool {self.folder} cannot be written: {error.strerror}") from error
        if not size:
            raise Refused("the file is empty; there is nothing to store")
        return Spooled(path, digest.hexdigest(), size)


@contextmanager
def open_spool(root: Path, max_bytes: int) -> Iterator[Spool]:
    """This worker's spool while the block runs; leftovers of dead workers are removed first."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(root)
        name, lock = _own(root)
    except OSError as error:
        raise ConfigurationError(f"INGEST_SPOOL_DIR {root} cannot be used: {error.strerror}") from error
    try:
        yield Spool(root / name, max_bytes)
    finally:
        _remove(root, name)
        os.close(lock)


def _own(root: Path) -> tuple[str, int]:
    """A new name, with its lock held before its folder exists."""
    while True:
        name = uuid4().hex
        lock = _lock(root / f"{name}.lock")
        if lock is not None:
            (root / name).mkdir(mode=0o700)
            return name, lock


def _lock(path: Path) -> int | None:
    """The lock's descriptor; None when another process has it, or removed the file meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _remove_leftovers(root: Path) -> None:
    for path in root.glob("*.lock"):
        lock = _lock(path)
        if lock is not None:
            _remove(root, path.stem)
            os.close(lock)
            log.info("removed the spool of a dead worker", spool=path.stem)


def _remove(root: Path, name: str) -> None:
    shutil.rmtree(root / name, ignore_errors=True)
    with suppress(FileNotFoundError):
        (root / f"{name}.lock").unlink()
