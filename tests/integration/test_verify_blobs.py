"""Blobs are compared with their rows, in S3 and in Postgres: damage, loss and orphans are named; it goes on later."""

import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import nats
import orjson
import pytest
import pytest_asyncio

from medley.blobs.objects import new_key
from medley.blobs.opening import Blobs, open_blobs
from medley.blobs.port import Spooled
from medley.blobs.settings import BlobSettings
from medley.runtime.errors import Unavailable
from medley.runtime.settings import S3Settings
from medley.verify.blobs import BEFORE_ALL, BlobBytes
from medley.verify.checkpoint import Checkpoint
from medley.verify.database import Database
from medley.verify.pace import Pace
from tests.support import servers
from tests.support.databases import MakeDatabase
from tests.support.jobs import Queue, path
from tests.support.migrated import migrated
from tests.support.verifying import Verifier, kinds
from tests.support.workers import s3_settings, worker, worker_settings

LIMITS = BlobSettings(inline_below=1000)


@pytest_asyncio.fixture
async def dsn(new_database: MakeDatabase, fresh_nats_url: str) -> str:
    return await migrated(await new_database(), fresh_nats_url)


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as made:
        yield made


@pytest_asyncio.fixture
async def place(s3: servers.S3) -> AsyncIterator[S3Settings]:
    """A bucket of the test's own: what others left would be orphans here."""
    yield s3_settings(s3).model_copy(update={"bucket": f"verify-{os.urandom(6).hex()}"})


@pytest.fixture
def verify(dsn: str, fresh_nats_url: str, place: S3Settings) -> Verifier:
    return Verifier(dsn, fresh_nats_url, s3=place)


async def stored(pool: asyncpg.Pool, blobs: Blobs, folder: Path, size: int) -> str:
    """A published blob of random bytes; its digest."""
    data = os.urandom(size)
    sha256 = hashlib.sha256(data).hexdigest()
    file = folder / sha256
    file.write_bytes(data)
    staged = await blobs.store.stage(Spooled(file, sha256, size))
    async with pool.acquire() as connection, connection.transaction():
        await blobs.store.claim(connection, staged)
        blob_id = await connection.fetchval(
            "INSERT INTO media_blobs (sha256, size, mime, placement, s3_key)"
            " VALUES ($1, $2, 'a/b', $3, $4) RETURNING id",
            sha256,
            size,
            staged.place.placement,
            staged.place.s3_key,
        )
        await blobs.store.settle(connection, staged, blob_id)
    return sha256


async def test_damage_loss_and_orphans_are_named(
    pool: asyncpg.Pool, place: S3Settings, verify: Verifier, tmp_path: Path
) -> None:
    assert not (await verify(blobs=True)).findings
    with open_blobs(pool, place, LIMITS) as blobs:
        assert blobs.s3 is not None
        many = [await stored(pool, blobs, tmp_path, size) for size in (10, 900, 1000, 300_000, 600_000, 5000, 20, 30)]
        well = await verify(blobs=True)
        assert (well.findings, well.counts["blobs"]) == ([], len(many))
        keys = {row["sha256"]: row["s3_key"] for row in await pool.fetch("SELECT sha256, s3_key FROM media_blobs")}
        wrong = tmp_path / "wrong"
        wrong.write_bytes(b"x" * 300_000)
        await blobs.s3.put(keys[many[3]], wrong, 300_000)
        wrong.write_bytes(b"short")
        await blobs.s3.put(keys[many[4]], wrong, 5)
        await blobs.s3.delete(keys[many[5]])
        await pool.execute("DELETE FROM media_blob_bytes USING media_blobs WHERE id = blob_id AND sha256 = $1", many[6])
        await pool.execute(
            "UPDATE media_blob_bytes SET data = data || '\\x00' FROM media_blobs WHERE id = blob_id AND sha256 = $1",
            many[7],
        )
        orphan, upload = new_key(many[0]), new_key(many[1])
        await blobs.s3.put(orphan, wrong, 5)
        await blobs.s3.put(upload, wrong, 5)
        await pool.execute(
            "INSERT INTO blob_uploads (s3_key, sha256, lease_until) VALUES ($1, $2, now())", upload, many[1]
        )
        report = await verify(blobs=True)
        assert {(finding.kind, finding.subject) for finding in report.findings} == {
            ("wrong bytes", many[3]),
            ("wrong bytes", many[4]),
            ("missing bytes", many[5]),
            ("missing bytes", many[6]),
            ("wrong bytes", many[7]),
            ("orphan", place.bucket),
        }
        assert [finding.place for finding in report.findings if finding.kind == "orphan"] == [orphan]
        assert await blobs.s3.size(place.bucket, orphan) == 5
        repaired = (await verify(blobs=True, repair=True)).repaired
    assert len(repaired) == 5
    assert all("must be put in again" in line for line in repaired)


async def test_it_goes_on_where_it_was_stopped_and_forgets_nothing(
    pool: asyncpg.Pool, place: S3Settings, verify: Verifier, tmp_path: Path
) -> None:
    with open_blobs(pool, place, LIMITS) as blobs:
        for _ in range(6):
            await stored(pool, blobs, tmp_path, 100)
    ids = [row["id"] for row in await pool.fetch("SELECT id FROM media_blobs ORDER BY id")]
    await pool.execute("DELETE FROM media_blob_bytes WHERE blob_id = ANY ($1)", [ids[1], ids[4]])
    # An object that cannot be read now stops the run: no S3 at the address.
    await pool.execute("UPDATE media_blobs SET placement = 's3', s3_key = 'blobs/none' WHERE id = $1", ids[3])
    state = tmp_path / "state.json"
    verify.checkpoint, verify.s3 = Checkpoint(state), S3Settings(endpoint="")
    with pytest.raises(Unavailable, match="no S3 is configured"):
        await verify(blobs=True)
    kept = orjson.loads(state.read_bytes())
    assert kept["after"] == {"blobs": str(ids[2])}
    verify.checkpoint, verify.s3 = Checkpoint(state), place
    report = await verify(blobs=True)
    assert report.counts["blobs"] == 3
    assert len(report.findings) == 3
    assert kinds(report) == {"missing bytes"}
    assert not state.exists()


async def test_reading_is_paced_by_bytes(pool: asyncpg.Pool, dsn: str, place: S3Settings, tmp_path: Path) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with open_blobs(pool, place, LIMITS) as blobs:
        await stored(pool, blobs, tmp_path, 1_000_000)
        async with Database.opened(dsn) as database:
            looked = BlobBytes(database, blobs, Pace(100_000, clock=lambda: 0.0, pause=pause), lambda _: None)
            assert [finding async for _, finding in looked.verify(BEFORE_ALL)] == [None]
    assert max(pauses) == pytest.approx(10, abs=0.01)


async def test_repair_asks_ingest_for_a_lost_blob_whose_source_is_known(
    pool: asyncpg.Pool, dsn: str, fresh_nats_url: str, place: S3Settings, verify: Verifier, tmp_path: Path
) -> None:
    client = await nats.connect(fresh_nats_url)
    queue = Queue(client, pool)
    source = path("night-ferry.mp3")
    settings = worker_settings(
        dsn, fresh_nats_url, place, tmp_path / "spool", allowed_folders=(Path(source["path"]).parent,)
    )
    try:
        async with worker(settings):
            row = await queue.ended(await queue.publish(source))
            assert row["state"] == "done"
            key = await pool.fetchval("SELECT s3_key FROM media_blobs WHERE id = $1", row["blob_id"])
            with open_blobs(pool, place, LIMITS) as blobs:
                assert blobs.s3 is not None
                await blobs.s3.delete(key)
            report = await verify(blobs=True, repair=True)
            assert kinds(report) == {"missing bytes"}
            (line,) = report.repaired
            assert source["path"] in line
            (job_id,) = re.findall(r"as job (\S+);", line)
            job = await queue.ended(UUID(job_id))
            assert (job["state"], job["error"], job["blob_id"]) == ("done", None, row["blob_id"])
    finally:
        await client.close()
