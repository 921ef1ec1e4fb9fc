"""S3 is absent, refuses, or hangs: small files go to Postgres, large ones wait in the queue."""

import asyncio
import os
from pathlib import Path

from medley.cli.embedded.ports import free_port
from medley.runtime.settings import S3Settings
from tests.integration.ingest.conftest import Worker, read_back
from tests.support.jobs import Queue, path
from tests.support.relay import relay

LARGE = 1024 * 1024 + 1  # the tests' limit for Postgres is 1 MiB


def _large(folder: Path) -> dict[str, str]:
    file = folder / "large.bin"
    file.write_bytes(os.urandom(LARGE))
    return {"kind": "path", "path": str(file)}


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def _waits(queue: Queue, job: object, reason: str) -> None:
    async with asyncio.timeout(20):
        while True:
            row = await queue.pool.fetchrow("SELECT state, error FROM ingest_jobs WHERE id = $1", job)
            if row is not None and row["state"] == "queued" and reason in (row["error"] or ""):
                return
            await asyncio.sleep(0.02)


async def test_without_s3_what_is_too_large_fails(queue: Queue, run_worker: Worker, tmp_path: Path) -> None:
    async with run_worker():
        row = await queue.ended(await queue.publish(_large(tmp_path)))
    assert row["state"] == "failed"
    assert "S3_ENDPOINT" in row["error"]


async def test_with_s3_down_small_files_are_inline_and_large_ones_wait_until_it_returns(
    queue: Queue, run_worker: Worker, real_s3: S3Settings, tmp_path: Path
) -> None:
    async with relay(real_s3.endpoint) as way:
        way.cut()
        behind = real_s3.model_copy(update={"endpoint": way.url})
        async with run_worker(behind):
            small = await queue.ended(await queue.publish(path("night-ferry.mp3")))
            assert small["state"] == "done"
            large = await queue.publish(_large(tmp_path))
            await _waits(queue, large, "S3")
            other = await queue.ended(await queue.publish(path("dunes.jpg")))  # who waits does not stop the others
            assert other["state"] == "done"
            way.open = True
            row = await queue.ended(large)
            await queue.empty()
        assert row["state"] == "done"
        assert row["attempts"] > 1
        placements = await queue.pool.fetch("SELECT id, placement, sha256 FROM media_blobs")
        assert {r["id"]: r["placement"] for r in placements} == {
            small["blob_id"]: "inline",
            other["blob_id"]: "inline",
            row["blob_id"]: "s3",
        }
        for r in placements:
            assert await read_back(queue, behind, r["sha256"])


async def test_s3_that_hangs_is_as_good_as_down(queue: Queue, run_worker: Worker, real_s3: S3Settings) -> None:
    async with relay(real_s3.endpoint) as way:
        way.moving.clear()
        async with run_worker(real_s3.model_copy(update={"endpoint": way.url})):
            row = await queue.ended(await queue.publish(path("dunes.jpg")), within=40)
    assert row["state"] == "done"
    assert await queue.count("media_blob_bytes") == 1
    assert await queue.count("blob_uploads") == 1  # what hangs may still arrive: the sweep must find it


async def test_a_worker_starts_without_s3(queue: Queue, run_worker: Worker) -> None:
    nobody = S3Settings(endpoint=f"http://127.0.0.1:{free_port()}")
    async with run_worker(nobody):
        row = await queue.ended(await queue.publish(path("dunes.jpg")))
    assert row["state"] == "done"


async def test_stopping_gives_back_what_is_in_hand(
    queue: Queue, run_worker: Worker, real_s3: S3Settings, spool: Path
) -> None:
    async with relay(real_s3.endpoint) as way:
        way.moving.clear()
        behind = real_s3.model_copy(update={"endpoint": way.url})
        async with run_worker(behind, stop_seconds=0.2, ack_wait_seconds=300):
            job = await queue.publish(path("dunes.jpg"))
            await way.held.wait()
        assert not _files(spool)
        async with run_worker(real_s3):
            row = await queue.ended(job, within=15)  # not after 300 s
    assert row["state"] == "done"
    assert await queue.count("media_blobs") == 1
