"""Wires sync; decides nothing."""

import asyncio
from typing import Any

from medley.gate import needs
from medley.gate.gate import Gate, guard, keeping
from medley.gate.judge import Build
from medley.gate.shipped import shipped
from medley.runtime import health, postgres
from medley.runtime.metrics import Metric
from medley.runtime.process import unless_stopped, until_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.sync.leader import Leader
from services.sync.settings import SyncSettings


class Sync:
    """Leads or stands by while the gate is open."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._nats, self._dsn, self._settings = NatsSettings(), PostgresSettings(), SyncSettings()
        self._leader: Leader | None = None

    def report(self) -> tuple[bool, dict[str, Any]]:
        role = self._leader.role if self._leader is not None else "starting"
        closed = self._gate.closed
        return role != "starting" and closed is None, {"role": role, "schema": closed or self._gate.answer.verdict}

    def measure(self) -> list[Metric]:
        return self._leader.measure() if self._leader is not None else []

    async def serve(self, closing: asyncio.Event) -> None:
        pool = await unless_stopped(closing, postgres.open_pool(self._dsn, "medley-sync"))
        try:
            self._leader = Leader(pool, self._dsn, self._nats, self._settings)
            await until_stopped(closing, asyncio.create_task(self._leader.lead(closing), name="sync"))
        finally:
            self._leader = None
            pool.terminate()


async def main(stop: asyncio.Event) -> None:
    """Wait at the gate, then lead or stand by until told to stop."""
    schema = SchemaSettings()
    build = Build(shipped(schema.dir), needs.of_service(__file__))
    async with keeping("sync", build, PostgresSettings(), NatsSettings(), schema, stop) as (gate, keeper):
        sync = Sync(gate)
        async with health.serve(sync.report, measure=sync.measure):
            await guard(gate, keeper, stop, sync.serve)
