"""Files go in and come out as rows: every sample, each kind of source, with S3 and without."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from medley.runtime.settings import S3Settings
from tests.integration.ingest.conftest import Worker, read_back
from tests.support.jobs import SAMPLES, Queue, inline, path

MEDIA = sorted(p.name for p in SAMPLES.iterdir() if p.suffix not in (".py", ".md") and p.stem != "broken-tape")


async def test_the_samples_are_a_library(
    queue: Queue, run_worker: Worker, store_settings: S3Settings, spool: Path
) -> None:
    async with run_worker(store_settings):
        jobs = {name: await queue.publish(path(name), client_id="laptop") for name in MEDIA}
        jobs["broken-tape.flac"] = await queue.publish(path("broken-tape.flac"))
        rows = {name: await queue.ended(job) for name, job in jobs.items()}
        await queue.empty()
        assert [name for name, row in rows.items() if row["state"] == "failed"] == ["broken-tape.flac"]
        assert (await queue.count("media_blobs"), await queue.count("songs")) == (10, 7)
        for name in MEDIA:
            data = (SAMPLES / name).read_bytes()
            assert await read_back(queue, store_settings, hashlib.sha256(data).hexdigest()) == data
        assert not _files(spool)
    assert not list(spool.iterdir())  # noqa: ASYNC240
    assert await queue.count("blob_uploads") == (await _losers(queue))


def _files(spool: Path) -> list[Path]:
    return [path for path in spool.rglob("*") if path.is_file() and path.suffix != ".lock"]


async def _losers(queue: Queue) -> int:
    """Intents that stay are those of copies that lost the race to their twin."""
    query = "SELECT count(*) FROM blob_uploads u JOIN media_blobs b USING (sha256) WHERE b.s3_key <> u.s3_key"
    return int(await queue.pool.fetchval(query))


async def test_a_recording_is_a_blob_and_a_song(queue: Queue, run_worker: Worker, real_s3: S3Settings) -> None:
    async with run_worker(real_s3):
        job = await queue.publish(path("cafe-a-minuit.flac"), client_id="phone", metadata={"mood": "calm"})
        row = await queue.ended(job)
    assert (row["state"], row["error"], row["attempts"], row["filename"]) == ("done", None, 1, "cafe-a-minuit.flac")
    assert row["bytes_done"] == row["bytes_total"] == (SAMPLES / "cafe-a-minuit.flac").stat().st_size
    blob = await queue.pool.fetchrow("SELECT * FROM media_blobs WHERE id = $1", row["blob_id"])
    song = await queue.pool.fetchrow("SELECT * FROM songs WHERE id = $1", row["song_id"])
    assert blob is not None
    assert song is not None
    assert (blob["mime"], blob["placement"], blob["source_client_id"]) == ("audio/flac", "s3", "phone")
    assert blob["local_path"] == str(SAMPLES / "cafe-a-minuit.flac")
    assert blob["s3_key"].startswith(f"blobs/{blob['sha256'][:2]}/{blob['sha256']}/")
    assert (song["title"], song["artist"], song["album"]) == ("Café à minuit", "Zoë & the Örestads", "Été — 夏")
    assert song["seconds"] == pytest.approx(2.68, abs=0.01)
    shown = json.loads(song["metadata"])
    assert (shown["genre"], shown["year"], shown["track"], shown["mood"]) == ("Chanson", "2023", 3, "calm")
    assert json.loads(blob["metadata"]) == shown


async def test_a_picture_is_a_blob_with_its_size(queue: Queue, run_worker: Worker) -> None:
    async with run_worker():
        row = await queue.ended(await queue.publish(path("dunes.jpg")))
    blob = await queue.pool.fetchrow("SELECT * FROM media_blobs WHERE id = $1", row["blob_id"])
    assert blob is not None
    assert (blob["mime"], row["song_id"]) == ("image/jpeg", None)
    assert json.loads(blob["metadata"]) == {"width": 640, "height": 427, "format": "JPEG"}


async def test_other_files_are_kept_as_bytes(queue: Queue, run_worker: Worker) -> None:
    async with run_worker():
        row = await queue.ended(await queue.publish(inline(b"hello"), filename="notes.txt", mime="text/plain"))
    mime = await queue.pool.fetchval("SELECT mime FROM media_blobs WHERE id = $1", row["blob_id"])
    assert (row["state"], row["song_id"], mime) == ("done", None, "application/octet-stream")


@pytest.mark.parametrize(
    ("fields", "title"), [({"filename": "Ferry.mp3"}, "Night Ferry"), ({"metadata": {"title": "Mine"}}, "Mine")]
)
async def test_inline_bytes_are_a_song(queue: Queue, run_worker: Worker, fields: dict[str, Any], title: str) -> None:
    async with run_worker():
        row = await queue.ended(await queue.publish(inline((SAMPLES / "night-ferry.mp3").read_bytes()), **fields))
    assert await queue.pool.fetchval("SELECT title FROM songs WHERE id = $1", row["song_id"]) == title


async def test_an_object_of_s3_is_a_source(queue: Queue, run_worker: Worker, real_s3: S3Settings) -> None:
    client = Minio(
        real_s3.endpoint.removeprefix("http://"),
        real_s3.access_key,
        real_s3.secret_key.get_secret_value(),
        secure=False,
        region=real_s3.region,
    )
    data = (SAMPLES / "copper-bells.ogg").read_bytes()
    client.put_object(real_s3.bucket, "incoming/bells.ogg", io.BytesIO(data), len(data))
    async with run_worker(real_s3):
        found = await queue.publish({"kind": "object", "bucket": real_s3.bucket, "key": "incoming/bells.ogg"})
        missing = await queue.publish({"kind": "object", "bucket": real_s3.bucket, "key": "incoming/no"})
        row, failed = await queue.ended(found), await queue.ended(missing)
    assert (row["state"], row["filename"]) == ("done", "bells.ogg")
    assert (failed["state"], failed["song_id"]) == ("failed", None)
    assert "no object 'incoming/no'" in failed["error"]


async def test_strange_words_do_not_break_a_row(queue: Queue, run_worker: Worker) -> None:
    strange = {"x\0": "\0", "n": 2**70, "deep": [[[[[[[1]]]]]]]}
    source = inline((SAMPLES / "night-ferry.mp3").read_bytes())
    async with run_worker():
        job = await queue.publish(source, filename="a\0b.mp3", client_id="c\0", metadata=strange)
        row = await queue.ended(job)
    assert (row["state"], row["error"], row["filename"], row["client_id"]) == ("done", None, "ab.mp3", "c")
