"""Sync says at start what an acked message survives, and complains where a power cut of the bus could take too much."""

import json
import secrets
from pathlib import Path

import pytest

from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import Ports
from medley.cli.embedded.server import running
from tests.support.databases import MakeDatabase
from tests.support.library import until
from tests.support.shapes import running_sync


@pytest.mark.parametrize(
    ("delay", "level", "said"),
    [("1.5", "info", "survives a kill and a power cut"), ("0.5", "error", "a power cut of NATS can take changes")],
)
async def test_it_compares_the_servers_disk_with_its_own_delay(
    new_database: MakeDatabase, tmp_path: Path, delay: str, level: str, said: str
) -> None:
    server = Nats(tmp_path / "nats", Ports(), secrets.token_urlsafe(12))
    async with running(server, tmp_path / "nats.log"):
        settings = {"NATS_MONITORING_URL": server.monitoring_url, "SYNC_CONFIRM_DELAY": delay}
        async with running_sync(await new_database(), server.url, tmp_path, **settings) as library:
            log = library.logs / "sync.log"

            async def told() -> bool:
                return "sync_interval" in log.read_text()

            await until(told, "sync has told what an acked change survives")
            [line] = [json.loads(line) for line in log.read_text().splitlines() if "sync_interval" in line]
            assert said in line["event"]
            assert (line["level"], line["sync_interval"], line["confirm_delay"]) == (level, 1.0, float(delay))
