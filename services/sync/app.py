"""Wires sync; decides nothing."""

import asyncio
from typing import Any

import asyncpg

from medley.runtime import bus, gate, health, postgres
from medley.runtime.process import unless_stopped, until_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings
from services.sync.leader import Leader
from services.sync.settings import SyncSettings


async def _start(nats: NatsSettings, dsn: PostgresSettings) -> asyncpg.Pool:
    """Through the gate, and a pool."""
    client = await bus.connect(nats, "sync-gate")
    try:
        await gate.wait(client.jetstream())
    finally:
        await bus.close(client)
    return await postgres.open_pool(dsn, "medley-sync")


async def main(stop: asyncio.Event) -> None:
    """Wait at the gate, then lead or stand by until told to stop."""
    nats, dsn, settings = NatsSettings(), PostgresSettings(), SyncSettings()
    pool = await unless_stopped(stop, _start(nats, dsn))
    leader = Leader(pool, dsn, nats, settings)

    def report() -> tuple[bool, dict[str, Any]]:
        return leader.role != "starting", {"role": leader.role}

    try:
        async with health.serve(report):
            await until_stopped(stop, asyncio.create_task(leader.lead(stop), name="sync"))
    finally:
        pool.terminate()
