"""Leaving the bus never fails, whatever its server and its library do meanwhile."""

import asyncio
import os
import secrets
import signal
from pathlib import Path

import pytest
from pydantic import SecretStr

from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import Ports
from medley.cli.embedded.server import running
from medley.runtime import bus
from medley.runtime.settings import NatsSettings


@pytest.mark.parametrize("what", ["there", "frozen", "gone", "cancelled"])
async def test_a_connection_is_closed(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Nats(tmp_path / "nats", Ports(), secrets.token_urlsafe(12))
    async with running(server, tmp_path / "nats.log") as (_, child):
        client = await bus.connect(NatsSettings(url=SecretStr(server.url)), "test")
        match what:
            case "frozen":
                os.kill(child.pid, signal.SIGSTOP)
            case "gone":
                child.kill()
            case "cancelled":  # as the library's wait for its transport is when it reconnects at that moment
                closed = asyncio.get_running_loop().create_future()
                closed.cancel()
                monkeypatch.setattr(client._transport, "wait_closed", lambda: closed)
        await bus.close(client, 0.5)
        assert client.is_closed or what == "frozen"
        if what == "frozen":
            os.kill(child.pid, signal.SIGCONT)


async def test_who_closes_it_may_be_told_to_stop(tmp_path: Path) -> None:
    server = Nats(tmp_path / "nats", Ports(), secrets.token_urlsafe(12))
    async with running(server, tmp_path / "nats.log") as (_, child):
        client = await bus.connect(NatsSettings(url=SecretStr(server.url)), "test")
        os.kill(child.pid, signal.SIGSTOP)
        closing = asyncio.create_task(bus.close(client, 30))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        os.kill(child.pid, signal.SIGCONT)
