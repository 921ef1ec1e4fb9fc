"""A bad job fails with a reason, leaves nothing visible, and the worker goes on."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from medley.runtime.settings import S3Settings
from tests.integration.ingest.conftest import Worker
from tests.support.jobs import SAMPLES, Queue, inline, path

PNG = (SAMPLES / "orbit.png").read_bytes()
MP3 = (SAMPLES / "night-ferry.mp3").read_bytes()

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unknown source": ({"kind": "carrier-pigeon"}, {}, "not a valid job: source"),
    "no source": ({}, {}, "not a valid job: source"),
    "url": ({"kind": "url", "url": "https://example.org/a.mp3"}, {}, "not supported by this version"),
    "upload": ({"kind": "upload", "upload_id": str(uuid4())}, {}, "not supported by this version"),
    "object without s3": ({"kind": "object", "bucket": "abc", "key": "k"}, {}, "S3_ENDPOINT"),
    "missing file": (path("gone.mp3"), {}, "no file at"),
    "outside": ({"kind": "path", "path": "/etc/passwd"}, {}, "outside the allowed folders"),
    "dots": (path("../README.md"), {}, "without '..'"),
    "relative": ({"kind": "path", "path": "night-ferry.mp3"}, {}, "absolute"),
    "folder": (path(""), {}, "not a regular file"),
    "device": ({"kind": "path", "path": "/dev/zero"}, {}, "outside"),
    "nul": ({"kind": "path", "path": "/\x00"}, {}, "absolute"),
    "wrong digest": (path("dunes.jpg"), {"expected_sha256": "0" * 64}, "found sha256"),
    "no digest": (path("dunes.jpg"), {"expected_sha256": "xyz"}, "expected_sha256"),
    "corrupt audio": (path("broken-tape.flac"), {}, "broken"),
    "cut picture": (inline(PNG[:3000]), {}, "PNG"),
    "cut by name": (inline(b"not a song"), {"filename": "song.mp3"}, "needed MP3"),
    "cut by mime": (inline(b"not a picture"), {"mime": "image/png"}, "needed PNG"),
    "empty": (inline(b""), {}, "empty"),
    "not base64": ({"kind": "inline", "data": "!!!"}, {}, "base64"),
    "wrong metadata": (inline(MP3), {"metadata": {"bpm": "fast"}}, "metadata.bpm"),
    "too large inline": (inline(bytes(100_001)), {}, "INGEST_INLINE_JOB_BYTES"),
    "too large": (path("two-rivers.wav"), {}, "INGEST_MAX_FILE_BYTES"),
    "unknown field": (path("dunes.jpg"), {"prioritee": 1}, "prioritee"),
}
LIMITS = {"inline_job_bytes": 100_000, "max_file_bytes": 80_000}


async def _nothing_visible(queue: Queue) -> None:
    for table in ("media_blobs", "songs", "media_blob_bytes"):
        assert await queue.count(table) == 0, table


@pytest.mark.parametrize("name", BAD)
async def test_it_fails_and_says_why(queue: Queue, run_worker: Worker, name: str) -> None:
    source, fields, reason = BAD[name]
    async with run_worker(**LIMITS):
        row = await queue.ended(await queue.publish(source, **fields))
        await queue.empty()
    assert row["state"] == "failed"
    assert reason in row["error"]
    await _nothing_visible(queue)
    [(told, body)] = await queue.dead()
    assert reason in told
    assert json.loads(body)["source"] == source


async def test_with_s3_a_corrupt_file_leaves_no_object(queue: Queue, run_worker: Worker, real_s3: S3Settings) -> None:
    async with run_worker(real_s3):
        assert (await queue.ended(await queue.publish(path("broken-tape.flac"))))["state"] == "failed"
    await _nothing_visible(queue)
    assert await queue.count("blob_uploads") == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"not json", b"[]", b"null", b'{"job_id": "no uuid", "source": {}}', b'"' + b"x" * 10_000],
)
async def test_a_message_that_is_no_job_is_parked(queue: Queue, run_worker: Worker, body: bytes) -> None:
    async with run_worker():
        await queue.raw(body)
        await queue.empty()
        good = await queue.ended(await queue.publish(path("dunes.jpg")))
    assert good["state"] == "done"
    [(reason, copy)] = await queue.dead()
    assert reason.startswith("not a valid job")
    assert copy == body
    [failed] = await queue.pool.fetch("SELECT error FROM ingest_jobs WHERE state = 'failed'")
    assert failed["error"].startswith("not a valid job")


async def test_the_worker_goes_on(queue: Queue, run_worker: Worker) -> None:
    async with run_worker(concurrency=1, **LIMITS):
        jobs = [await queue.publish(source, **fields) for source, fields, _ in BAD.values()]
        await queue.raw(b"garbage")
        good = await queue.publish(path("night-ferry.mp3"))
        assert (await queue.ended(good))["state"] == "done"
        assert {(await queue.ended(job))["state"] for job in jobs} == {"failed"}
        await queue.empty()
    assert len(await queue.dead()) == len(BAD) + 1


async def test_a_job_that_is_done_stays_done_whatever_follows_under_its_id(queue: Queue, run_worker: Worker) -> None:
    async with run_worker():
        job = await queue.publish(path("dunes.jpg"))
        await queue.ended(job)
        await queue.publish({"kind": "carrier-pigeon"}, job_id=job, message_id="second")
        await queue.empty()
        row = await queue.row(job)
    assert row is not None
    assert (row["state"], row["error"]) == ("done", None)


async def test_a_failed_job_may_be_sent_again(queue: Queue, run_worker: Worker, tmp_path: Path) -> None:
    late = tmp_path / "late.mp3"
    async with run_worker():
        job = await queue.publish({"kind": "path", "path": str(late)})
        assert (await queue.ended(job))["state"] == "failed"
        await queue.empty()
        late.write_bytes(MP3)
        await queue.publish({"kind": "path", "path": str(late)}, job_id=job, message_id="again")
        await queue.empty()
        row = await queue.row(job)
    assert row is not None
    assert (row["state"], row["error"], row["attempts"]) == ("done", None, 2)


async def test_without_allowed_folders_paths_are_off(queue: Queue, run_worker: Worker) -> None:
    async with run_worker(allowed_folders=()):
        row = await queue.ended(await queue.publish(path("dunes.jpg")))
    assert "INGEST_ALLOWED_FOLDERS" in row["error"]
