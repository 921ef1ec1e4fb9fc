"""Health tells the truth: active only while a sync holds the slot and hears of changes, and the bus is there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.support import web
from tests.support.library import Library, running_library, until
from tests.support.relay import Relay, relay

Status = Callable[[], Awaitable[tuple[int, str]]]


def _through(url: str, way: Relay) -> str:
    """The address, by way of the relay."""
    parts = urlsplit(url)
    return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{urlsplit(way.url).port}")


@pytest_asyncio.fixture(scope="module")
async def postgres(postgres_dsn: str) -> AsyncIterator[Relay]:
    async with relay(postgres_dsn) as way:
        yield way


@pytest_asyncio.fixture(scope="module")
async def nats(fresh_nats_url: str) -> AsyncIterator[Relay]:
    async with relay(fresh_nats_url) as way:
        yield way


@pytest_asyncio.fixture(scope="module")
async def library(
    postgres: Relay, nats: Relay, postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    logs = tmp_path_factory.mktemp("health")
    async with running_library(_through(postgres_dsn, postgres), _through(fresh_nats_url, nats), logs) as running:
        yield running


@pytest_asyncio.fixture
async def status(library: Library) -> AsyncIterator[Status]:
    async with web.client(timeout=5) as http:

        async def ask() -> tuple[int, str]:
            answer = await http.get(f"{library.api}/v1/health")
            assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
            return answer.status_code, answer.json()["status"]

        yield ask


async def _becomes(status: Status, *wanted: tuple[int, str]) -> None:
    async def is_so() -> bool:
        return await status() in wanted

    await until(is_so, f"health is one of {wanted}")


async def test_without_a_sync_it_waits(library: Library, status: Status) -> None:
    assert await status() == (200, "active")
    await library.kill("sync")
    await _becomes(status, (202, "waiting"))
    await library.start("sync")
    await _becomes(status, (200, "active"))


async def test_without_the_bus_it_is_not_active(library: Library, status: Status, nats: Relay) -> None:
    nats.cut()
    await _becomes(status, (202, "starting"))
    nats.open = True
    await _becomes(status, (200, "active"))


@pytest.mark.parametrize("how", ["cut", "frozen"])
async def test_without_the_slot_it_is_not_active(library: Library, status: Status, postgres: Relay, how: str) -> None:
    if how == "cut":
        postgres.cut()
    else:
        postgres.moving.clear()
    await _becomes(status, (202, "waiting"), (202, "starting"))
    postgres.open = True
    postgres.moving.set()
    await _becomes(status, (200, "active"))


async def test_a_frozen_bus_is_no_bus(library: Library, status: Status, nats: Relay) -> None:
    nats.moving.clear()
    await _becomes(status, (202, "waiting"), (202, "starting"))
    nats.moving.set()
    await _becomes(status, (200, "active"))
