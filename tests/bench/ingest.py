"""Ingest: files that a worker opens by their path, until their rows are there; beside a bare loop that does as little
as can be done: read and hash, put, insert, with as many at once."""

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from minio import Minio

from medley.cli import addresses, jobs
from medley.contracts.jobs import IngestJob
from tests.bench.frame import Goal, Line, Sample, Wrong
from tests.bench.stage import Stage, services, until

_KIB, _MIB = 1024, 1024 * 1024
_CONCURRENCY = 4  # what ingest does at once unless told otherwise
_BYTES, _MOST, _LEAST = 384 * _MIB, 300, 4
_PIECE, _PART = _MIB, 8 * _MIB
_LOOK = 0.1


def _count(kib: int) -> int:
    return max(min(_BYTES // (kib * _KIB), _MOST), _LEAST)


def _files(folder: Path, kib: int) -> list[Path]:
    """No two are alike, nor like those of any time before: a library keeps what is alike once."""
    folder.mkdir(exist_ok=True)
    rest = os.urandom(min(kib * _KIB, _MIB))
    found = []
    for number in range(_count(kib)):
        path = folder / f"{kib}-{number}.bin"
        with path.open("wb") as file:
            file.write(os.urandom(16) + rest[16:])
            for _ in range(kib * _KIB // len(rest) - 1):
                file.write(rest)
        found.append(path)
    return found


def _rates(count: int, kib: int, seconds: float) -> dict[str, float]:
    return {"files/s": count / seconds, "MB/s": count * kib * _KIB / 1e6 / seconds}


async def ingested(stage: Stage, kib: int) -> Sample:
    """From the publishing of the jobs until the last row says that it is done."""
    files = await asyncio.to_thread(_files, stage.folder / "files", kib)
    asked = [jobs.job_for(path) for path in files]
    await stage.quiet(20)
    client = await addresses.bus_client(stage.info["nats"])
    session = await stage.connect()
    try:
        with stage.metered() as used:
            started = time.time()
            await jobs.publish(client.jetstream(), asked)
            seconds = await _done(session, asked) - started
    finally:
        await session.close()
        await client.close()
    figures = {**_rates(len(files), kib, seconds), "MB at most, ingest": services(used().rss)["ingest"] / 1e6}
    return Sample(figures, len(files), used())


async def _done(session: asyncpg.Connection, asked: list[IngestJob]) -> float:
    """When the last of them was, by the wall clock."""
    ids = [str(job.job_id) for job in asked]

    async def all_ended() -> bool:
        ended = "SELECT count(*) FROM ingest_jobs WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL"
        await asyncio.sleep(_LOOK)
        return bool(await session.fetchval(ended, ids) == len(ids))

    await until(all_ended, f"{len(ids)} files are ingested", 300)
    row = await session.fetchrow(
        "SELECT count(DISTINCT b.sha256) AS blobs, extract(epoch FROM max(j.finished_at))::float8 AS at"
        " FROM ingest_jobs j JOIN media_blobs b ON b.id = j.blob_id WHERE j.id = ANY ($1::uuid[]) AND j.state = 'done'",
        ids,
    )
    assert row is not None
    if row["blobs"] != len(ids):
        raise Wrong(f"{len(ids)} different files went in, and {row['blobs']} blobs are there")
    return float(row["at"])


class Loop:
    """Hash, put, insert: so many files at once, and nothing else."""

    def __init__(self, endpoint: str, access: str, secret: str, bucket: str, dsn: str, table: str) -> None:
        self._client = Minio(urlsplit(endpoint).netloc, access_key=access, secret_key=secret, secure=False)
        self._bucket, self._dsn, self._table = bucket, dsn, table

    async def run(self, paths: list[Path]) -> float:
        """Seconds."""
        sessions = [await asyncpg.connect(self._dsn) for _ in range(_CONCURRENCY)]
        left = iter(paths)
        started = time.perf_counter()
        await asyncio.gather(*(self._worker(session, left) for session in sessions))
        seconds = time.perf_counter() - started
        for session in sessions:
            await session.close()
        return seconds

    async def _worker(self, session: asyncpg.Connection, left: Iterator[Path]) -> None:
        for path in left:
            digest, size, key = await asyncio.to_thread(self._stored, path)
            await session.execute(f"INSERT INTO {self._table} (title, filler) VALUES ($1, $2)", f"{digest} {size}", key)

    def _stored(self, path: Path) -> tuple[str, int, str]:
        digest, key, size = hashlib.sha256(), f"bench/{uuid.uuid4()}", path.stat().st_size
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
            file.seek(0)
            self._client.put_object(self._bucket, key, file, size, part_size=_PART, num_parallel_uploads=1)
        return digest.hexdigest(), size, key


async def bare_loop(stage: Stage, kib: int) -> Sample:
    files = await asyncio.to_thread(_files, stage.folder / "files", kib)
    at = (stage.info[name] for name in ("s3", "s3_access_key", "s3_secret_key", "s3_bucket"))
    async with stage.table(stage.bare) as (table, _), stage.client(Loop, *at, stage.bare, table) as client:
        seconds = await client.ask("run", files)
    return Sample(_rates(len(files), kib, seconds), len(files))


_SMALL, _LARGE, _HUGE = 100, 64 * _KIB, 256 * _KIB
LINES = [
    Line(
        *("ingest", "files by their path", "KiB each", (_SMALL, 1024, 8 * _KIB, _LARGE, _HUGE), (_SMALL,)),
        *(ingested, bare_loop, "a loop that hashes, puts and inserts, four files at once"),
        goals=(
            Goal("MB/s", ">=", 0.8, (_LARGE,), of="limit"),
            Goal("files/s", ">=", 0.6, (_SMALL,), of="limit"),
            Goal("MB at most, ingest", "<=", 1.3, (_HUGE,), of=_LARGE),
        ),
        operation="file",
        once=_HUGE,
        ours_only=True,
    ),
]
