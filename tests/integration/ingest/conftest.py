"""For each test: an empty migrated database, an empty bus, and a queue on them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import asyncpg
import nats
import pytest
import pytest_asyncio

from medley.blobs.fallback import FallbackStore
from medley.blobs.opening import open_blobs
from medley.blobs.settings import BlobSettings
from medley.blobs.shelf import Shelf
from medley.runtime.settings import S3Settings
from tests.support import databases, servers
from tests.support.jobs import SAMPLES, Queue
from tests.support.migrated import migrated
from tests.support.workers import NO_S3, s3_settings, worker, worker_settings

Worker = Callable[..., AbstractAsyncContextManager[None]]


@pytest_asyncio.fixture
async def dsn(new_database: databases.MakeDatabase, nats_url: str) -> str:
    await databases.clear_bus(nats_url)
    return await migrated(await new_database(), nats_url)


@pytest_asyncio.fixture
async def queue(dsn: str, nats_url: str) -> AsyncIterator[Queue]:
    client = await nats.connect(nats_url)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        yield Queue(client, pool)
    await client.close()


@pytest.fixture(params=["s3", "no s3"])
def store_settings(request: pytest.FixtureRequest) -> S3Settings:
    """The tests that take it run with S3 and without."""
    return s3_settings(request.getfixturevalue("s3")) if request.param == "s3" else NO_S3


@pytest.fixture
def real_s3(s3: servers.S3) -> S3Settings:
    return s3_settings(s3)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def run_worker(dsn: str, nats_url: str, spool: Path, tmp_path: Path) -> Worker:
    """`async with run_worker(s3 settings, **settings of ingest)`; samples and the test's own folder are allowed."""

    def start(s3: S3Settings = NO_S3, **ingest: Any) -> AbstractAsyncContextManager[None]:
        given = {"allowed_folders": (SAMPLES, tmp_path)} | ingest
        return worker(worker_settings(dsn, nats_url, s3, spool, **given))

    return start


async def read_back(queue: Queue, s3: S3Settings, sha256: str) -> bytes:
    """The bytes that the library has under this digest, read as the API reads them."""
    with open_blobs(queue.pool, s3, BlobSettings()) as blobs:
        assert isinstance(blobs.store, FallbackStore)
        shelf = Shelf(queue.pool, blobs.store)
        blob = await shelf.find(sha256)
        assert blob is not None
        return b"".join([piece async for piece in shelf.read(blob)])
