"""A worker is killed with -9 in the middle: the next one finishes its job; nothing is lost, nothing is there twice."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from medley.runtime.settings import S3Settings
from services.ingest.catalog import song_id
from tests.integration.ingest.conftest import Worker, read_back
from tests.support.jobs import SAMPLES, Queue, path
from tests.support.relay import relay


@asynccontextmanager
async def process(dsn: str, nats_url: str, s3: S3Settings, spool: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.ingest` as it is deployed."""
    env = {
        **os.environ,
        "POSTGRES_DSN": dsn,
        "NATS_URL": nats_url,
        "S3_ENDPOINT": s3.endpoint,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key.get_secret_value(),
        "S3_BUCKET": s3.bucket,
        "INGEST_ALLOWED_FOLDERS": str(SAMPLES),
        "INGEST_SPOOL_DIR": str(spool),
        "INGEST_ACK_WAIT_SECONDS": "2",
        "BLOB_S3_READ_SECONDS": "60",
    }
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.ingest", env=env)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def _one_of_each(queue: Queue, s3: S3Settings, job: UUID) -> None:
    row = await queue.ended(job)
    assert (row["state"], row["song_id"]) == ("done", song_id(job))
    assert (await queue.count("media_blobs"), await queue.count("songs")) == (1, 1)
    sha256 = await queue.pool.fetchval("SELECT sha256 FROM media_blobs")
    assert await read_back(queue, s3, sha256) == (SAMPLES / "night-ferry.mp3").read_bytes()


@pytest.mark.parametrize("word", ["SIGKILL", "SIGTERM"])
async def test_killed_while_it_writes_to_s3(
    queue: Queue, run_worker: Worker, dsn: str, nats_url: str, real_s3: S3Settings, spool: Path, word: str
) -> None:
    async with relay(real_s3.endpoint) as way:
        way.moving.clear()
        behind = real_s3.model_copy(update={"endpoint": way.url})
        async with process(dsn, nats_url, behind, spool) as worker:
            job = await queue.publish(path("night-ferry.mp3"))
            await asyncio.wait_for(way.held.wait(), 20)
            assert await queue.count("media_blobs") == 0  # not visible before it is stored and verified
            assert await queue.count("blob_uploads") == 1
            worker.send_signal(getattr(signal, word))
            if word == "SIGKILL":
                await worker.wait()
    async with run_worker(real_s3, ack_wait_seconds=2):
        await _one_of_each(queue, real_s3, job)
        await queue.empty()
        [folder] = [entry for entry in spool.iterdir() if entry.is_dir()]  # noqa: ASYNC240 - the killed one's is gone
        assert not list(folder.iterdir())
    assert await queue.count("blob_uploads") == 1  # the killed attempt's intent is what the sweep needs


async def test_killed_between_commit_and_acknowledgement(
    queue: Queue, run_worker: Worker, real_s3: S3Settings, dsn: str
) -> None:
    """The commit is there and the message is not acknowledged: the same as a second delivery of the same job."""
    async with run_worker(real_s3):
        job = await queue.publish(path("night-ferry.mp3"))
        done = await queue.ended(job)
    await queue.publish(path("night-ferry.mp3"), job_id=job, message_id="delivered again")
    async with run_worker(real_s3):
        await queue.empty()
    assert await queue.row(job) == done
    await _one_of_each(queue, real_s3, job)


async def test_killed_again_and_again_under_load(
    queue: Queue, dsn: str, nats_url: str, real_s3: S3Settings, spool: Path, run_worker: Worker
) -> None:
    names = ["night-ferry.mp3", "dunes.jpg", "two-rivers.wav", "copper-bells.ogg"]
    jobs = [await queue.publish(path(names[n % 4])) for n in range(40)]
    for round_ in range(3):
        async with process(dsn, nats_url, real_s3, spool) as worker, asyncio.timeout(30):
            # as soon as this worker has begun a job, whatever it is doing then
            begun = "SELECT count(*) FROM ingest_jobs WHERE state <> 'queued'"
            while await queue.pool.fetchval(begun) < 4 * (round_ + 1):  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            worker.kill()
    async with run_worker(real_s3, ack_wait_seconds=2):
        rows = [await queue.ended(job) for job in jobs]
        await queue.empty()
    assert {row["state"] for row in rows} == {"done"}
    assert (await queue.count("media_blobs"), await queue.count("songs")) == (4, 3)
