"""Wires sync; decides nothing."""

import asyncio
from typing import Any

from medley.runtime import bus, gate, health, postgres
from medley.runtime.process import until_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings
from services.sync.leader import Leader
from services.sync.settings import SyncSettings


async def main(stop: asyncio.Event) -> None:
    """Wait at the gate, then lead or stand by until told to stop."""
    nats, dsn, settings = NatsSettings(), PostgresSettings(), SyncSettings()
    client = await bus.connect(nats, "sync-gate")
    await gate.wait(client.jetstream())
    await bus.close(client)
    pool = await postgres.open_pool(dsn, "medley-sync")
    leader = Leader(pool, dsn, nats, settings)

    def report() -> tuple[bool, dict[str, Any]]:
        return leader.role != "starting", {"role": leader.role}

    try:
        async with health.serve(report):
            await until_stopped(stop, asyncio.create_task(leader.lead(), name="sync"))
    finally:
        pool.terminate()
