"""One suite for every place that keeps bytes, on real servers: S3, Postgres, and the store made of both."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from medley.blobs.fallback import FallbackStore
from medley.blobs.inline import InlineStore
from medley.blobs.objects import ObjectStore, new_key
from medley.blobs.placement import Limits
from medley.blobs.port import CHUNK, Blob, BlobStore, Missing, Place, Spooled, Staged, Swept, TooLarge
from medley.blobs.s3 import S3
from medley.blobs.settings import MIB, BlobSettings
from medley.blobs.shelf import Shelf
from medley.cli.embedded.ports import free_port
from medley.runtime.errors import ConfigurationError, Transient, Unavailable
from medley.runtime.settings import S3Settings
from tests.support import servers
from tests.support.migrated import migrated

PATIENCE = BlobSettings(s3_connect_seconds=1, s3_read_seconds=10)


@pytest_asyncio.fixture(scope="module")
async def pool(postgres_dsn: str, fresh_nats_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(await migrated(postgres_dsn, fresh_nats_url), min_size=1, max_size=8) as made:
        yield made


@pytest.fixture(scope="module")
def bucket(s3: servers.S3) -> S3:
    return S3(_settings(s3), PATIENCE)


def _settings(s3: servers.S3, **changed: str) -> S3Settings:
    values = {"endpoint": s3.endpoint, "access_key": s3.access_key, "secret_key": s3.secret_key, "bucket": s3.bucket}
    return S3Settings.model_validate(values | changed)


@pytest.fixture
def nowhere() -> S3:
    """An S3 that refuses every connection."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    return S3(S3Settings.model_validate({"endpoint": endpoint, "access_key": "a", "secret_key": "b"}), PATIENCE)


@pytest.fixture(params=["s3", "inline", "fallback"])
def store(request: pytest.FixtureRequest, pool: asyncpg.Pool) -> BlobStore:
    inline = InlineStore(pool, 32 * MIB)
    if request.param == "inline":
        return inline
    objects = ObjectStore(pool, request.getfixturevalue("bucket"))
    return objects if request.param == "s3" else FallbackStore(objects, inline, Limits(1000, 32 * MIB), 5)


@pytest.fixture
def shelf(pool: asyncpg.Pool, store: BlobStore) -> Shelf:
    return Shelf(pool, store)


def spool(folder: Path, size: int) -> Spooled:
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    path = folder / digest
    path.write_bytes(data)
    return Spooled(path, digest, size)


async def publish(pool: asyncpg.Pool, store: BlobStore, staged: Staged) -> bool:
    """The port's publishing transaction; False for the loser of a race."""
    async with pool.acquire() as connection, connection.transaction():
        await store.claim(connection, staged)
        blob_id = await connection.fetchval(
            "INSERT INTO media_blobs (sha256, size, mime, placement, s3_key) VALUES ($1, $2, 'a/b', $3, $4) "
            "ON CONFLICT (sha256) DO NOTHING RETURNING id",
            staged.spooled.sha256,
            staged.spooled.size,
            *staged.place,
        )
        if blob_id is not None:
            await store.settle(connection, staged, blob_id)
    return blob_id is not None


async def everything(shelf: Shelf, blob: Blob, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([piece async for piece in shelf.read(blob, start, stop)])


async def intents(pool: asyncpg.Pool, sha256: str) -> list[str]:
    return [r[0] for r in await pool.fetch("SELECT s3_key FROM blob_uploads WHERE sha256 = $1", sha256)]


@pytest.mark.parametrize("size", [1, 999, 1000, CHUNK, CHUNK + 1, 3 * CHUNK, 9 * MIB])
async def test_what_was_published_reads_back(
    tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf, size: int
) -> None:
    spooled = spool(tmp_path, size)
    assert await publish(pool, store, await store.stage(spooled))
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    assert hashlib.sha256(await everything(shelf, blob)).hexdigest() == spooled.sha256
    assert await intents(pool, spooled.sha256) == []


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (5, 5), (0, 0), (CHUNK - 1, CHUNK + 1), (700_000, 700_001), (1, 800_000)]
)
async def test_a_range_is_exact(
    tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf, start: int, stop: int
) -> None:
    spooled = spool(tmp_path, 800_000)
    await publish(pool, store, await store.stage(spooled))
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    assert await everything(shelf, blob, start, stop) == spooled.path.read_bytes()[start:stop]


async def test_pieces_are_small(tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf) -> None:
    spooled = spool(tmp_path, 3 * MIB)
    await publish(pool, store, await store.stage(spooled))
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    assert max([len(piece) async for piece in shelf.read(blob)]) <= CHUNK


async def test_staged_is_not_published(tmp_path: Path, store: BlobStore, shelf: Shelf) -> None:
    spooled = spool(tmp_path, 5000)
    await store.stage(spooled)
    assert await shelf.find(spooled.sha256) is None


async def test_a_rollback_leaves_nothing_to_see(
    tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf
) -> None:
    spooled = spool(tmp_path, 5000)
    staged = await store.stage(spooled)
    with pytest.raises(RuntimeError):
        async with pool.acquire() as connection, connection.transaction():
            await store.claim(connection, staged)
            blob_id = await connection.fetchval(
                "INSERT INTO media_blobs (sha256, size, mime, placement, s3_key) VALUES ($1, 5000, 'a/b', $2, $3) "
                "RETURNING id",
                spooled.sha256,
                *staged.place,
            )
            await store.settle(connection, staged, blob_id)
            raise RuntimeError
    assert await shelf.find(spooled.sha256) is None
    assert await publish(pool, store, staged)  # the attempt is as good as before


async def test_of_many_at_once_one_wins_and_all_read_the_same(
    tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf
) -> None:
    spooled = spool(tmp_path, 5000)

    async def attempt() -> bool:
        return await publish(pool, store, await store.stage(spooled))

    assert sorted(await asyncio.gather(*(attempt() for _ in range(6)))) == [False] * 5 + [True]
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    assert await everything(shelf, blob) == spooled.path.read_bytes()
    assert blob.place.s3_key not in await intents(pool, spooled.sha256)


async def test_leaving_a_read_early_leaves_nothing_open(
    tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf
) -> None:
    spooled = spool(tmp_path, 3 * MIB)
    await publish(pool, store, await store.stage(spooled))
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    for _ in range(50):  # more than there are connections to S3 or to Postgres
        async with aclosing(shelf.read(blob)) as pieces:
            assert await anext(pieces)
    assert await everything(shelf, blob) == spooled.path.read_bytes()


async def test_bytes_that_are_not_there_are_missing(pool: asyncpg.Pool, store: BlobStore) -> None:
    sha256 = "0" * 64
    place = Place("inline") if isinstance(store, InlineStore) else Place("s3", new_key(sha256))
    blob_id = await pool.fetchval("SELECT gen_random_uuid()")
    with pytest.raises(Missing):
        async for _ in store.read(Blob(blob_id, sha256, 10, "a/b", place), 0, 10):
            pass


async def test_removed_bytes_are_gone_or_left_to_the_sweep(
    tmp_path: Path, pool: asyncpg.Pool, store: BlobStore, shelf: Shelf
) -> None:
    spooled = spool(tmp_path, 5000)
    await publish(pool, store, await store.stage(spooled))
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    async with pool.acquire() as connection, connection.transaction():
        await store.remove(connection, blob)
        await store.remove(connection, blob)
        await connection.execute("DELETE FROM media_blobs WHERE id = $1", blob.id)
    assert await pool.fetchval("SELECT count(*) FROM media_blob_bytes WHERE blob_id = $1", blob.id) == 0
    assert await intents(pool, spooled.sha256) == ([blob.place.s3_key] if blob.place.s3_key else [])


async def test_it_says_that_it_is_reachable(store: BlobStore) -> None:
    assert await store.reachable()


async def test_a_swept_attempt_cannot_be_published(tmp_path: Path, pool: asyncpg.Pool, bucket: S3) -> None:
    store = ObjectStore(pool, bucket)
    spooled = spool(tmp_path, 2000)
    staged = await store.stage(spooled)
    await pool.execute("UPDATE blob_uploads SET state = 'swept' WHERE s3_key = $1", staged.place.s3_key)
    with pytest.raises(Swept):
        await publish(pool, store, staged)


async def test_each_attempt_has_its_own_key(tmp_path: Path, pool: asyncpg.Pool, bucket: S3) -> None:
    store = ObjectStore(pool, bucket)
    spooled = spool(tmp_path, 2000)
    keys = {(await store.stage(spooled)).place.s3_key for _ in range(3)}
    assert len(keys) == 3
    assert set(await intents(pool, spooled.sha256)) == keys


async def test_bytes_that_changed_on_the_way_are_not_verified(tmp_path: Path, pool: asyncpg.Pool, bucket: S3) -> None:
    honest = spool(tmp_path, 2000)
    lying = replace(honest, sha256="f" * 64)
    with pytest.raises(Unavailable, match="other bytes"):
        await ObjectStore(pool, bucket).stage(lying)
    inline = InlineStore(pool, MIB)
    with pytest.raises(Transient, match="changed"):
        await publish(pool, inline, await inline.stage(lying))
    assert await Shelf(pool, inline).find("f" * 64) is None


async def test_a_bucket_that_is_missing_is_made(tmp_path: Path, pool: asyncpg.Pool, s3: servers.S3) -> None:
    store = ObjectStore(pool, S3(_settings(s3, bucket=f"made-{os.urandom(4).hex()}"), PATIENCE))
    assert (await store.stage(spool(tmp_path, 2000))).place.placement == "s3"


async def test_with_s3_down_small_blobs_go_to_postgres(tmp_path: Path, pool: asyncpg.Pool, nowhere: S3) -> None:
    now = [0.0]
    store = FallbackStore(
        ObjectStore(pool, nowhere), InlineStore(pool, 5000), Limits(0, 5000), retry_seconds=10, clock=lambda: now[0]
    )
    small = spool(tmp_path, 5000)
    staged = await store.stage(small)
    assert staged.place == Place("inline")
    assert len(await intents(pool, small.sha256)) == 1  # a PUT that timed out may land late: the sweep must find it
    assert await publish(pool, store, staged)
    assert [store.s3] == ["down"]
    with pytest.raises(Unavailable, match="BLOB_INLINE_LIMIT"):
        await store.stage(spool(tmp_path, 5001))
    now[0] = 11.0
    assert [store.s3] == ["up"]
    with pytest.raises(Unavailable):
        await store.stage(spool(tmp_path, 5002))


async def test_without_s3_large_blobs_are_refused_for_good(tmp_path: Path, pool: asyncpg.Pool) -> None:
    store = FallbackStore(None, InlineStore(pool, 5000), Limits(0, 5000), 5)
    assert (await store.stage(spool(tmp_path, 5000))).place == Place("inline")
    with pytest.raises(TooLarge, match="S3_ENDPOINT"):
        await store.stage(spool(tmp_path, 5001))


async def test_wrong_keys_are_waited_for_not_failed(tmp_path: Path, pool: asyncpg.Pool, s3: servers.S3) -> None:
    store = ObjectStore(pool, S3(_settings(s3, secret_key="wrong-secret-key"), PATIENCE))
    with pytest.raises(Unavailable):
        await store.stage(spool(tmp_path, 2000))


async def test_a_blob_that_moves_is_followed(tmp_path: Path, pool: asyncpg.Pool, bucket: S3) -> None:
    inline, objects = InlineStore(pool, 32 * MIB), ObjectStore(pool, bucket)
    store = FallbackStore(objects, inline, Limits(0, 32 * MIB), 5)
    shelf, spooled = Shelf(pool, store), spool(tmp_path, 2 * MIB)
    await publish(pool, inline, await inline.stage(spooled))
    blob = await shelf.find(spooled.sha256)
    assert blob is not None
    async with aclosing(shelf.read(blob)) as pieces:
        data = await anext(pieces)
        staged = await objects.stage(spooled)
        async with pool.acquire() as connection, connection.transaction():
            await objects.claim(connection, staged)
            await connection.execute(
                "UPDATE media_blobs SET placement = 's3', s3_key = $2 WHERE id = $1", blob.id, staged.place.s3_key
            )
            await objects.settle(connection, staged, blob.id)
            await inline.remove(connection, blob)
        async for piece in pieces:
            data += piece
    assert data == spooled.path.read_bytes()


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://host", "http://host:1/path", "http://"])
def test_an_endpoint_that_is_no_address_is_said(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="S3_ENDPOINT"):
        S3(S3Settings.model_validate({"endpoint": endpoint}), PATIENCE)


@pytest.mark.parametrize(
    ("changed", "names"),
    [({"bucket": "No_Bucket"}, "S3_BUCKET"), ({"bucket": "ab"}, "S3_BUCKET"), ({"access_key": "a"}, "S3_SECRET_KEY")],
)
def test_settings_that_cannot_work_are_said_at_start(changed: dict[str, str], names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        S3(S3Settings.model_validate({"endpoint": "http://127.0.0.1:9"} | changed), PATIENCE)
