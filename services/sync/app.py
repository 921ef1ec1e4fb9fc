"""Wires sync; decides nothing."""

import asyncio
import secrets
import time
from typing import Any

from medley.contracts.shapes import Heartbeat
from medley.gate import needs
from medley.gate.gate import Gate, guard, keeping
from medley.gate.judge import Build
from medley.gate.shipped import shipped
from medley.runtime import health, postgres
from medley.runtime.metrics import Metric
from medley.runtime.process import unless_stopped, until_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from medley.runtime.together import together
from services.sync import metrics
from services.sync.capturing import Capturing
from services.sync.handover import Handover
from services.sync.marks import Marks
from services.sync.members import Members
from services.sync.presence import Presence
from services.sync.settings import SyncSettings
from services.sync.terms import repeat
from services.sync.working import Working


class Sync:
    """Captures or stands by, and feeds its share of the shapes, while the gate is open."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._nats, self._dsn, self._settings = NatsSettings(), PostgresSettings(), SyncSettings()
        self._capturing: Capturing | None = None
        self._working: Working | None = None

    def report(self) -> tuple[bool, dict[str, Any]]:
        beat = self._beat()
        closed = self._gate.closed
        schema = closed or self._gate.answer.verdict
        serves = beat is not None and (beat.capturing or bool(beat.slices))
        shares = {"capturing": beat.capturing, "slices": len(beat.slices)} if beat is not None else {}
        return serves and closed is None, {"role": "active" if serves else "starting", "schema": schema, **shares}

    def measure(self) -> list[Metric]:
        beat, fanout = self._beat(), self._working.fanout if self._working is not None else None
        found = [metrics.of_role(beat is not None and beat.capturing)]
        if self._capturing is not None and self._capturing.capture is not None:
            found += metrics.of_capture(self._capturing.capture, self._capturing.slot.state, time.monotonic())
        if fanout is not None and fanout.evaluation is not None and fanout.reading is not None:
            found += metrics.of_arrivals(fanout.arrivals, time.time())
            found += metrics.of_term(fanout.shapes.values(), fanout.evaluation, fanout.reading, fanout.lsn)
        return found

    def _beat(self) -> Heartbeat | None:
        if self._working is None or self._capturing is None:
            return None
        return self._working.beat(self._capturing.active)

    async def serve(self, closing: asyncio.Event) -> None:
        pool = await unless_stopped(closing, postgres.open_pool(self._dsn, "medley-sync"))
        try:
            marks, handover, members = Marks(), Handover(), Members(secrets.token_hex(8))
            capturing = self._capturing = Capturing(pool, self._dsn, self._nats, self._settings, marks, handover)
            working = self._working = Working(pool, self._nats, self._settings, marks, handover, members)
            presence = Presence(self._nats, members, marks, lambda: working.beat(capturing.active))
            works = together(
                capture=repeat("capture", capturing.term, closing),
                fan_out=repeat("fan-out", lambda: working.term(presence), closing),
                presence=repeat("presence", presence.run, closing),
                requests=repeat("requests", lambda: working.desk.run(self._nats), closing),
            )
            await until_stopped(closing, asyncio.create_task(works, name="sync"))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        finally:
            self._capturing = self._working = None
            pool.terminate()


async def main(stop: asyncio.Event) -> None:
    """Wait at the gate, then work until told to stop."""
    schema = SchemaSettings()
    build = Build(shipped(schema.dir), needs.of_service(__file__))
    async with keeping("sync", build, PostgresSettings(), NatsSettings(), schema, stop) as (gate, keeper):
        sync = Sync(gate)
        async with health.serve(sync.report, measure=sync.measure):
            await guard(gate, keeper, stop, sync.serve)
