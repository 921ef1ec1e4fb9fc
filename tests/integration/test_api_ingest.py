"""`/v1/ingest`: a job is published and has a row; a bad one is refused; what is down is said."""

import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import httpx
import nats
import pytest
import pytest_asyncio
from fastapi import FastAPI
from nats.aio.client import Client

from medley.runtime import bus
from services.api import ingest
from tests.support import web
from tests.support.migrated import migrated

JOB = {"source": {"kind": "path", "path": "/media/a.mp3"}}


@pytest_asyncio.fixture(scope="module")
async def dsn(postgres_dsn: str, fresh_nats_url: str) -> str:
    return await migrated(postgres_dsn, fresh_nats_url)


@pytest_asyncio.fixture
async def connection(dsn: str, nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    js = client.jetstream()
    await bus.ensure(js)
    await js.purge_stream("INGEST")
    yield client
    await client.close()


@pytest_asyncio.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as made:
        yield made


@pytest_asyncio.fixture
async def http(pool: asyncpg.Pool, connection: Client) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(ingest.router(pool, connection.jetstream()))
    async with web.client(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


async def test_a_job_is_published_and_has_a_row(http: httpx.AsyncClient, connection: Client) -> None:
    answer = await http.post("/v1/ingest", json=JOB | {"filename": "A.mp3", "client_id": "phone"})
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    message = await connection.jetstream().get_last_msg("INGEST", "ingest.jobs.normal")
    assert (message.headers or {})["Nats-Msg-Id"] == job_id
    assert json.loads(message.data or b"") == {
        "job_id": job_id, "source": JOB["source"], "filename": "A.mp3", "mime": None, "expected_sha256": None,
        "metadata": {}, "client_id": "phone",
    }  # fmt: skip
    row = (await http.get(answer.headers["location"])).json()
    assert (row["id"], row["state"], row["attempts"], row["filename"]) == (job_id, "queued", 0, "A.mp3")
    assert row["created_at"].endswith("+00:00")


async def test_the_same_job_twice_is_one(http: httpx.AsyncClient, connection: Client) -> None:
    job = JOB | {"job_id": str(uuid4())}
    assert [(await http.post("/v1/ingest", json=job)).json() for _ in range(2)] == [{"job_id": job["job_id"]}] * 2
    assert (await connection.jetstream().stream_info("INGEST")).state.messages == 1


async def test_a_worker_that_was_quicker_is_not_overwritten(http: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    job_id = uuid4()
    await pool.execute("INSERT INTO ingest_jobs (id, state, attempts) VALUES ($1, 'running', 1)", job_id)
    await http.post("/v1/ingest", json=JOB | {"job_id": str(job_id)})
    assert (await http.get(f"/v1/ingest/{job_id}")).json()["state"] == "running"


async def test_priority_is_a_subject(http: httpx.AsyncClient, connection: Client) -> None:
    job_id = (await http.post("/v1/ingest?priority=high", json=JOB)).json()["job_id"]
    message = await connection.jetstream().get_last_msg("INGEST", "ingest.jobs.high")
    assert (message.headers or {})["Nats-Msg-Id"] == job_id
    refused = await http.post("/v1/ingest?priority=urgent", json=JOB)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["priority"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b"[]", "body"),
        (b"{}", "source"),
        (b'{"source": {"kind": "carrier-pigeon"}}', "source"),
        (b'{"source": {"kind": "path", "path": ""}}', "source.path.path"),
        (json.dumps(JOB | {"expected_sha256": "x"}).encode(), "expected_sha256"),
        (json.dumps(JOB | {"prioritee": 1}).encode(), "prioritee"),
        (b'{"source": {"kind": "path", "path": "\\ud800"}}', "body"),
    ],
)
async def test_what_is_no_job_is_refused_by_field(
    http: httpx.AsyncClient, connection: Client, body: bytes, field: str
) -> None:
    answer = await http.post("/v1/ingest", content=body)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid request"
    assert list(answer.json()["errors"]) == [field]
    assert (await connection.jetstream().stream_info("INGEST")).state.messages == 0


async def test_a_job_that_the_bus_would_not_take_is_refused(http: httpx.AsyncClient, connection: Client) -> None:
    for size in (connection.max_payload - 1500, connection.max_payload, 3 * connection.max_payload):
        answer = await http.post("/v1/ingest", json={"source": {"kind": "inline", "data": "A" * size}})
        assert answer.status_code == (202 if size < connection.max_payload - 1400 else 413)
    assert connection.is_connected


async def test_rows_that_are_not_there(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"/v1/ingest/{uuid4()}")).status_code == 404
    assert (await http.get("/v1/ingest/nonsense")).status_code == 400


async def test_without_the_bus_nothing_is_promised(
    http: httpx.AsyncClient, connection: Client, pool: asyncpg.Pool
) -> None:
    await connection.close()
    job_id = uuid4()
    answer = await http.post("/v1/ingest", json=JOB | {"job_id": str(job_id)})
    assert answer.status_code == 503
    assert await pool.fetchval("SELECT count(*) FROM ingest_jobs WHERE id = $1", job_id) == 0


async def test_without_the_database_the_job_is_queued_all_the_same(
    http: httpx.AsyncClient, connection: Client, pool: asyncpg.Pool
) -> None:
    pool.terminate()
    answer = await http.post("/v1/ingest", json=JOB)
    assert answer.status_code == 202
    UUID(answer.json()["job_id"])
    assert (await connection.jetstream().stream_info("INGEST")).state.messages == 1
    assert (await http.get(answer.headers["location"])).status_code == 503
