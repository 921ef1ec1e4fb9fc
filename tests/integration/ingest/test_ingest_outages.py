"""The bus or the database goes away and comes back: the worker waits, and every job is done once."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.support.jobs import SAMPLES, Queue, inline, path
from tests.support.relay import Relay, relay
from tests.support.workers import NO_S3, worker, worker_settings


def _through(way: Relay, url: str) -> str:
    """The same address and user, by way of the relay."""
    user = urlsplit(url).netloc.rpartition("@")[0]
    there = urlsplit(way.url).netloc
    return urlunsplit(urlsplit(url)._replace(netloc=f"{user}@{there}" if user else there))


async def test_the_bus_goes_away_and_comes_back(queue: Queue, dsn: str, nats_url: str, spool: Path) -> None:
    async with relay(nats_url) as way:
        settings = worker_settings(
            dsn, _through(way, nats_url), NO_S3, spool, allowed_folders=(SAMPLES,), ack_wait_seconds=3
        )
        async with worker(settings):
            assert (await queue.ended(await queue.publish(path("dunes.jpg"))))["state"] == "done"
            way.cut()
            jobs = [await queue.publish(inline(b"file %d" % n)) for n in range(8)]
            way.open = True
            rows = [await queue.ended(job, within=60) for job in jobs]
            await queue.empty(within=60)
    assert {row["state"] for row in rows} == {"done"}
    assert await queue.count("media_blobs") == 9


async def test_the_database_goes_away_and_comes_back(queue: Queue, dsn: str, nats_url: str, spool: Path) -> None:
    async with relay(dsn) as way:
        settings = worker_settings(
            _through(way, dsn), nats_url, NO_S3, spool, allowed_folders=(SAMPLES,), ack_wait_seconds=3
        )
        async with worker(settings):
            assert (await queue.ended(await queue.publish(path("dunes.jpg"))))["state"] == "done"
            way.cut()
            jobs = [await queue.publish(inline(b"file %d" % n)) for n in range(8)]
            await _delivered_again(queue)
            way.open = True
            rows = [await queue.ended(job, within=60) for job in jobs]
            await queue.empty(within=60)
    assert {row["state"] for row in rows} == {"done"}
    assert await queue.count("media_blobs") == 9
    assert await queue.dead() == []


async def _delivered_again(queue: Queue) -> None:
    """Until some job has come a second time."""
    async with asyncio.timeout(20):
        while not (await queue.js.consumer_info("INGEST", "ingest")).num_redelivered:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
