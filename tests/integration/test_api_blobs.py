"""`/v1/blobs/{sha256}` over real storage: ranges, conditions, safe types, and clients that leave."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from medley.blobs.opening import Blobs, open_blobs
from medley.blobs.port import Spooled
from medley.blobs.settings import MIB, BlobSettings
from medley.cli.embedded.ports import free_port
from medley.runtime.settings import S3Settings
from services.api import blobs as route
from tests.support import servers, web
from tests.support.migrated import migrated
from tests.support.workers import NO_S3, s3_settings


@pytest_asyncio.fixture(scope="module")
async def pool(postgres_dsn: str, fresh_nats_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(await migrated(postgres_dsn, fresh_nats_url), min_size=1, max_size=4) as made:
        yield made


@pytest.fixture(params=["s3", "inline"])
def opened(request: pytest.FixtureRequest, pool: asyncpg.Pool) -> Iterator[Blobs]:
    s3 = s3_settings(request.getfixturevalue("s3")) if request.param == "s3" else NO_S3
    with open_blobs(pool, s3, BlobSettings()) as made:
        yield made


def application(opened: Blobs) -> FastAPI:
    app = FastAPI()
    app.include_router(route.router(opened.shelf))
    return app


def http(opened: Blobs) -> httpx.AsyncClient:
    return web.client(transport=httpx.ASGITransport(application(opened)), base_url="http://api")


async def put(
    pool: asyncpg.Pool, opened: Blobs, folder: Path, size: int, mime: str = "audio/flac"
) -> tuple[str, bytes]:
    """A published blob; gives its path and its bytes."""
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    file = folder / digest
    file.write_bytes(data)
    staged = await opened.store.stage(Spooled(file, digest, size))
    async with pool.acquire() as connection, connection.transaction():
        await opened.store.claim(connection, staged)
        insert = (
            "INSERT INTO media_blobs (sha256, size, mime, placement, s3_key) VALUES ($1, $2, $3, $4, $5) RETURNING id"
        )
        blob_id = await connection.fetchval(insert, digest, size, mime, *staged.place)
        await opened.store.settle(connection, staged, blob_id)
    return f"/v1/blobs/{digest}", data


async def test_the_whole(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path) -> None:
    url, data = await put(pool, opened, tmp_path, MIB + 1)
    async with http(opened) as client:
        answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert answer.headers["content-type"] == "audio/flac"
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "content-disposition" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("0-0", 0, 1), ("0-", 0, 600_000), ("300000-300099", 300_000, 300_100), ("-7", 599_993, 600_000)],
)
async def test_a_range(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path, asked: str, start: int, stop: int) -> None:
    url, data = await put(pool, opened, tmp_path, 600_000)
    async with http(opened) as client:
        answer = await client.get(url, headers={"range": f"bytes={asked}"})
    assert (answer.status_code, answer.content) == (206, data[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/600000"
    assert answer.headers["content-length"] == str(stop - start)


async def test_a_range_beyond_the_end(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path) -> None:
    url, _ = await put(pool, opened, tmp_path, 100)
    async with http(opened) as client:
        answer = await client.get(url, headers={"range": "bytes=100-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */100")


async def test_conditions(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path) -> None:
    url, data = await put(pool, opened, tmp_path, 100)
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    async with http(opened) as client:
        known = await client.get(url, headers={"if-none-match": tag})
        same = await client.get(url, headers={"range": "bytes=0-9", "if-range": tag})
        other = await client.get(url, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert (same.status_code, other.status_code) == (206, 200)
    assert other.content == data


async def test_head_says_the_same_without_bytes(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path) -> None:
    url, data = await put(pool, opened, tmp_path, 100)
    async with http(opened) as client:
        head, get = await client.head(url), await client.get(url)
        missing = await client.head("/v1/blobs/" + "0" * 64)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(get.headers)
    assert missing.status_code == 404
    assert len(get.content) == len(data)


@pytest.mark.parametrize("mime", ["text/html", "image/svg+xml", "application/octet-stream", "text/javascript"])
async def test_what_could_act_is_an_attachment(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path, mime: str) -> None:
    url, _ = await put(pool, opened, tmp_path, 100, mime)
    async with http(opened) as client:
        answer = await client.get(url)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("digest", "status"), [("0" * 64, 404), ("A" * 64, 400), ("0" * 63, 400), ("x", 400), ("0" * 65, 400)]
)
async def test_what_is_not_there(opened: Blobs, digest: str, status: int) -> None:
    async with http(opened) as client:
        answer = await client.get(f"/v1/blobs/{digest}")
    assert answer.status_code == status
    assert answer.json()["message"]


async def test_with_s3_down_a_blob_of_s3_is_503_and_the_others_are_served(
    pool: asyncpg.Pool, s3: servers.S3, tmp_path: Path
) -> None:
    down = S3Settings(endpoint=f"http://127.0.0.1:{free_port()}")
    with open_blobs(pool, s3_settings(s3), BlobSettings()) as up, open_blobs(pool, NO_S3, BlobSettings()) as without:
        away, _ = await put(pool, up, tmp_path, 1000)
        here, data = await put(pool, without, tmp_path, 1000)
        for settings in (down, NO_S3):
            with open_blobs(pool, settings, BlobSettings(s3_connect_seconds=1)) as opened:
                async with http(opened) as client:
                    answer = await client.get(away)
                    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
                    assert (await client.get(here)).content == data


async def test_clients_that_leave_free_what_they_held(pool: asyncpg.Pool, opened: Blobs, tmp_path: Path) -> None:
    """More of them, at once, than there are threads for S3 or connections to Postgres."""
    url, data = await put(pool, opened, tmp_path, 8 * MIB)
    app = application(opened)
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "path": url, "raw_path": url.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip

    async def leave_in_the_middle() -> int:
        left, received = asyncio.Event(), 0

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal received
            received += len(message.get("body", b""))
            if received > MIB:
                left.set()
                await asyncio.Event().wait()  # a socket that takes no more

        await asyncio.wait_for(app(dict(scope), receive, send), 30)
        return received

    taken = await asyncio.gather(*(leave_in_the_middle() for _ in range(80)))
    assert max(taken) < 2 * MIB
    async with http(opened) as client:
        assert (await client.get(url)).content == data
