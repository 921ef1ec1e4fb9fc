"""Wires ingest: settings in, a running worker out. Decides nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as ConsumerAckPolicy
from nats.js.api import ConsumerConfig

from medley.blobs.opening import open_blobs
from medley.blobs.settings import BlobSettings
from medley.contracts import subjects
from medley.contracts.streams import INGEST
from medley.gate import needs
from medley.gate.gate import Gate, guard, keeping
from medley.gate.judge import Build
from medley.gate.shipped import shipped
from medley.runtime import bus, health, postgres
from medley.runtime.process import unless_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings, S3Settings, SchemaSettings
from services.ingest.catalog import Catalog
from services.ingest.jobs import Jobs
from services.ingest.outcomes import RetryPolicy
from services.ingest.pipeline import Pipeline
from services.ingest.settings import IngestSettings
from services.ingest.sources import Sources
from services.ingest.spool import open_spool

log = structlog.get_logger()

CONSUMER = "ingest"


class Settings(NamedTuple):
    """Everything that a worker is told from outside."""

    ingest: IngestSettings
    postgres: PostgresSettings
    nats: NatsSettings
    s3: S3Settings
    blobs: BlobSettings
    schema: SchemaSettings


def read_settings() -> Settings:
    return Settings(
        IngestSettings(), PostgresSettings(), NatsSettings(), S3Settings(), BlobSettings(), SchemaSettings()
    )


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[health.Report]:
    """A worker that takes jobs while the block runs. Waits for the servers first.

    At the end it takes nothing new, gives the jobs in hand `INGEST_STOP_SECONDS`, and gives the rest back.
    """
    async with AsyncExitStack() as stack:
        client = await bus.connect(settings.nats, "ingest")
        stack.push_async_callback(bus.close, client)
        js = client.jetstream()
        await bus.ensure(js)
        pool = await postgres.open_pool(settings.postgres, "medley-ingest")
        stack.callback(pool.terminate)
        jobs = _jobs(stack, settings, pool, js)
        broker = await _consume(stack, settings, jobs, js)
        log.info("ingest ready", workers=settings.ingest.concurrency, s3=bool(settings.s3.endpoint))
        yield lambda: _report(client, broker, pool)


def _jobs(stack: AsyncExitStack, settings: Settings, pool: asyncpg.Pool, js: JetStreamContext) -> Jobs:
    ingest = settings.ingest
    blobs = stack.enter_context(open_blobs(pool, settings.s3, settings.blobs))
    spool = stack.enter_context(open_spool(ingest.spool_dir, ingest.max_file_bytes))
    catalog = Catalog(pool, blobs.store)
    sources = Sources(ingest.allowed_folders, ingest.inline_job_bytes, blobs.s3)
    pipeline = Pipeline(catalog, blobs.store, sources, spool, ingest)
    policy = RetryPolicy(ingest.retry_first_seconds, ingest.retry_most_seconds, ingest.unexpected_attempts)
    return Jobs(pipeline, catalog, js, policy, ingest.ack_wait_seconds)


def _consumer(ingest: IngestSettings) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=CONSUMER,
        filter_subject=subjects.INGEST_ANY,
        ack_policy=ConsumerAckPolicy.EXPLICIT,
        ack_wait=ingest.ack_wait_seconds,
        max_deliver=-1,
        max_ack_pending=-1,  # jobs that wait for S3 count as pending, and must not stop the others
    )


async def _consume(stack: AsyncExitStack, settings: Settings, jobs: Jobs, js: JetStreamContext) -> NatsBroker:
    """One pull loop for each job at a time. (`max_workers` would fetch more than it works on, and let it grow old.)"""
    ingest = settings.ingest
    await js.add_consumer(INGEST.name, _consumer(ingest))
    broker = NatsBroker(
        settings.nats.servers,
        name="ingest-jobs",
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        graceful_timeout=ingest.stop_seconds or None,
        logger=logging.getLogger("ingest.bus"),
        log_level=logging.DEBUG,
    )

    async def undecoded(message: NatsMessage) -> bytes:
        return message.body

    async def receive(body: bytes, message: NatsMessage) -> None:
        await jobs.receive(body, message)

    for _ in range(ingest.concurrency):
        broker.subscriber(
            subjects.INGEST_ANY,
            durable=CONSUMER,
            stream=JStream(INGEST.name, declare=False),
            pull_sub=PullSub(batch_size=1, timeout=2),  # a request that a restarted bus forgot is made again
            config=_consumer(ingest),
            ack_policy=AckPolicy.MANUAL,
            decoder=undecoded,
        )(receive)
    stack.push_async_callback(_stop, broker)
    await broker.start()
    return broker


async def _stop(broker: NatsBroker) -> None:
    await asyncio.gather(*(subscriber.stop() for subscriber in broker.subscribers))
    await broker.stop()


def _report(client: Client, broker: NatsBroker, pool: asyncpg.Pool) -> tuple[bool, dict[str, Any]]:
    state = {"bus": client.is_connected, "connections": pool.get_size(), "workers": len(broker.subscribers)}
    return client.is_connected, state


class Worker:
    """Takes jobs while the gate is open."""

    def __init__(self, gate: Gate, settings: Settings) -> None:
        self._gate = gate
        self._settings = settings
        self._working: health.Report | None = None

    def report(self) -> tuple[bool, dict[str, Any]]:
        well, state = self._working() if self._working is not None else (False, {})
        return well and self._gate.closed is None, {**state, "schema": self._gate.closed or self._gate.answer.verdict}

    async def serve(self, closing: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            self._working = await unless_stopped(closing, stack.enter_async_context(build(self._settings)))
            try:
                await closing.wait()
            finally:
                self._working = None


async def main(stop: asyncio.Event) -> None:
    """Run until told to stop, which may be while it still waits for its servers."""
    settings = read_settings()
    needed = Build(shipped(settings.schema.dir), needs.of_service(__file__))
    async with keeping("ingest", needed, settings.postgres, settings.nats, settings.schema, stop) as (gate, keeper):
        worker = Worker(gate, settings)
        async with health.serve(worker.report):
            await guard(gate, keeper, stop, worker.serve)
