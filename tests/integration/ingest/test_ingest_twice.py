"""The same job, or the same bytes, twice: one blob, one song, whatever the races."""

import asyncio
from uuid import uuid4

from medley.runtime.settings import S3Settings
from services.ingest.catalog import song_id
from tests.integration.ingest.conftest import Worker
from tests.support.jobs import SAMPLES, Queue, inline, path

MP3 = (SAMPLES / "night-ferry.mp3").read_bytes()


async def _counts(queue: Queue) -> tuple[int, int]:
    return await queue.count("media_blobs"), await queue.count("songs")


async def test_the_same_job_twice_runs_once(queue: Queue, run_worker: Worker) -> None:
    job = uuid4()
    for _ in range(3):
        await queue.publish(path("night-ferry.mp3"), job_id=job)
    assert (await queue.js.stream_info("INGEST")).state.messages == 1
    async with run_worker():
        row = await queue.ended(job)
    assert row["song_id"] == song_id(job)
    assert await _counts(queue) == (1, 1)


async def test_a_job_delivered_again_after_it_was_done_changes_nothing(
    queue: Queue, run_worker: Worker, store_settings: S3Settings
) -> None:
    async with run_worker(store_settings):
        job = await queue.publish(path("night-ferry.mp3"))
        before = await queue.ended(job)
        for number in range(3):
            await queue.publish(path("night-ferry.mp3"), job_id=job, message_id=f"again {number}")
        await queue.empty()
        assert await queue.row(job) == before
    assert await _counts(queue) == (1, 1)
    assert await queue.count("blob_uploads") == 0


async def test_one_job_in_many_hands_at_once(queue: Queue, run_worker: Worker, store_settings: S3Settings) -> None:
    job = uuid4()
    for number in range(8):
        await queue.publish(path("night-ferry.mp3"), job_id=job, message_id=f"copy {number}")
    async with run_worker(store_settings), run_worker(store_settings):
        row = await queue.ended(job)
        await queue.empty()
    assert (row["state"], row["song_id"]) == ("done", song_id(job))
    assert await _counts(queue) == (1, 1)


async def test_the_same_bytes_under_two_names_are_one_song(queue: Queue, run_worker: Worker) -> None:
    async with run_worker():
        first = await queue.ended(await queue.publish(path("night-ferry.mp3")))
        second = await queue.ended(await queue.publish(path("night-ferry (copy).mp3")))
    assert (first["blob_id"], first["song_id"]) == (second["blob_id"], second["song_id"])
    assert await _counts(queue) == (1, 1)


async def test_the_same_bytes_many_times_at_once(queue: Queue, run_worker: Worker, store_settings: S3Settings) -> None:
    jobs = [await queue.publish(inline(MP3), filename=f"{n}.mp3") for n in range(24)]
    async with run_worker(store_settings, concurrency=8), run_worker(store_settings, concurrency=8):
        rows = await asyncio.gather(*(queue.ended(job) for job in jobs))
        await queue.empty()
    assert {row["state"] for row in rows} == {"done"}
    assert len({(row["blob_id"], row["song_id"]) for row in rows}) == 1
    assert await _counts(queue) == (1, 1)


async def test_a_song_that_was_deleted_comes_back_with_its_bytes(queue: Queue, run_worker: Worker) -> None:
    async with run_worker():
        first = await queue.ended(await queue.publish(path("night-ferry.mp3")))
        await queue.pool.execute("DELETE FROM songs")
        second = await queue.ended(await queue.publish(path("night-ferry.mp3")))
    assert first["blob_id"] == second["blob_id"]
    assert await queue.pool.fetchval("SELECT title FROM songs WHERE id = $1", second["song_id"]) == "Night Ferry"


async def test_many_jobs_shared_by_two_workers(queue: Queue, run_worker: Worker) -> None:
    jobs = [await queue.publish(inline(b"file %d" % n)) for n in range(100)]
    async with run_worker(), run_worker():
        rows = await asyncio.gather(*(queue.ended(job) for job in jobs))
        await queue.empty()
    assert {(row["state"], row["attempts"]) for row in rows} == {("done", 1)}
    assert await queue.count("media_blobs") == 100


async def test_of_many_who_bring_a_deleted_song_back_one_does(queue: Queue, run_worker: Worker) -> None:
    async with run_worker():
        await queue.ended(await queue.publish(inline(MP3), filename="a.mp3"))
    for _ in range(3):
        await queue.pool.execute("DELETE FROM songs")
        jobs = [await queue.publish(inline(MP3), filename="a.mp3") for _ in range(24)]  # they wait for the workers
        async with run_worker(concurrency=12), run_worker(concurrency=12):
            rows = await asyncio.gather(*(queue.ended(job) for job in jobs))
            await queue.empty()
        assert len({row["song_id"] for row in rows}) == 1
        assert await _counts(queue) == (1, 1)
