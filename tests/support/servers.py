"""Where tests find Postgres, NATS and S3.

Three ways, tried in this order for each server: its address in the environment (`TEST_POSTGRES_DSN`, `TEST_NATS_URL`,
`TEST_S3_ENDPOINT` with `TEST_S3_ACCESS_KEY` and `TEST_S3_SECRET_KEY`), the embedded server, a container. Each way is a
function of its own, so that a test can take one. Without any of them a test is skipped on a laptop and fails in CI.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import asyncpg
import httpx
import nats
import pytest
from nats.errors import Error as NatsError

from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import Ports, free_port
from medley.cli.embedded.postgres import OWNER, Postgres
from medley.cli.embedded.seaweedfs import BUCKET, SeaweedFS
from medley.cli.embedded.server import poll, running
from medley.cli.embedded.wheels import MissingWheel

POSTGRES_IMAGE, NATS_IMAGE, S3_IMAGE = "postgres:18", "nats:2", "chrislusf/seaweedfs"
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class S3:
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = BUCKET


T = TypeVar("T")
Way = Callable[[Path], AbstractAsyncContextManager[T]]


class NotHere(Exception):
    """This way of getting a server does not exist on this machine."""


@asynccontextmanager
async def first_of(ways: tuple[Way[T], ...], folder: Path) -> AsyncIterator[T]:
    """The first way that exists here; skips the test when none does, and fails it in CI."""
    reasons = []
    for way in ways:
        server = way(folder)
        try:
            address = await server.__aenter__()
        except (NotHere, MissingWheel) as error:
            reasons.append(str(error))
            continue
        try:
            yield address
        finally:
            await server.__aexit__(None, None, None)
        return
    nothing(reasons)


def nothing(reasons: list[str]) -> NoReturn:
    """Say why there is no server: a skip on a laptop, a failure in CI."""
    sentence = "no server for this test: " + "; ".join(reasons)
    if os.environ.get("CI"):
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def _given(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise NotHere(f"{variable} is not set")
    return value


# --- Postgres: the owner's address of a server, who may make databases


@asynccontextmanager
async def given_postgres(folder: Path) -> AsyncIterator[str]:
    yield _given("TEST_POSTGRES_DSN")


@asynccontextmanager
async def embedded_postgres(folder: Path) -> AsyncIterator[str]:
    server = Postgres(folder / "postgres", free_port(), secrets.token_urlsafe(12), durable=False)
    async with running(server, folder / "postgres.log"):
        yield server.url


@asynccontextmanager
async def container_postgres(folder: Path) -> AsyncIterator[str]:
    password = secrets.token_urlsafe(12)
    command = ["postgres", "-c", "wal_level=logical", "-c", "max_wal_senders=20", "-c", "max_replication_slots=20"]
    async with _container(POSTGRES_IMAGE, 5432, command, {"POSTGRES_PASSWORD": password}) as address:
        url = f"postgresql://{OWNER}:{password}@{address}/postgres"

        async def answers() -> bool:
            try:
                await (await asyncpg.connect(url, timeout=2)).close()
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
                return False
            return True

        await asyncio.wait_for(poll(answers, 0.2), _START_SECONDS)
        yield url


# --- NATS: an address with user and password


@asynccontextmanager
async def given_nats(folder: Path) -> AsyncIterator[str]:
    yield _given("TEST_NATS_URL")


@asynccontextmanager
async def embedded_nats(folder: Path) -> AsyncIterator[str]:
    server = Nats(folder / "nats", Ports(), secrets.token_urlsafe(12))
    async with running(server, folder / "nats.log"):
        yield server.url


@asynccontextmanager
async def container_nats(folder: Path) -> AsyncIterator[str]:
    # No -c: a file of ours inside the container would need a mount, which a remote engine does not have.
    async with _container(NATS_IMAGE, 4222, ["-js", "-sd", "/data"], {}) as address:
        url = f"nats://{address}"

        async def answers() -> bool:
            try:
                client = await nats.connect(url, allow_reconnect=False, connect_timeout=2)
                await client.jetstream().account_info()
                await client.close()
            except (OSError, NatsError, TimeoutError):
                return False
            return True

        await asyncio.wait_for(poll(answers, 0.2), _START_SECONDS)
        yield url


# --- S3: endpoint, keys, and a bucket that exists


@asynccontextmanager
async def given_s3(folder: Path) -> AsyncIterator[S3]:
    yield S3(
        _given("TEST_S3_ENDPOINT"),
        os.environ.get("TEST_S3_ACCESS_KEY", ""),
        os.environ.get("TEST_S3_SECRET_KEY", ""),
        os.environ.get("TEST_S3_BUCKET", BUCKET),
    )


@asynccontextmanager
async def embedded_s3(folder: Path) -> AsyncIterator[S3]:
    server = SeaweedFS(folder / "s3", Ports(), secrets.token_hex(10), secrets.token_hex(20))
    async with running(server, folder / "s3.log"):
        yield S3(server.url, server.access_key, server.secret_key)


@asynccontextmanager
async def container_s3(folder: Path) -> AsyncIterator[S3]:
    keys = {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
    command = ["mini", "-dir=/data", f"-bucket={BUCKET}", "-master.telemetry=false", "-webdav=false"]
    async with _container(S3_IMAGE, 8333, command, keys) as address, httpx.AsyncClient(trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get(f"http://{address}/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await asyncio.wait_for(poll(answers, 0.2), _START_SECONDS)
        yield S3(f"http://{address}", keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])


@asynccontextmanager
async def _container(image: str, port: int, command: list[str], env: dict[str, str]) -> AsyncIterator[str]:
    """`host:port` of a started container. Raises NotHere without testcontainers or an engine."""
    try:
        from docker.errors import DockerException
        from testcontainers.core.container import DockerContainer
    except ImportError as error:
        raise NotHere(f"testcontainers is not installed ({error})") from error
    try:
        container = DockerContainer(image).with_exposed_ports(port).with_command(command).with_envs(**env)
        await asyncio.to_thread(container.start)
    except DockerException as error:
        raise NotHere(f"no container engine, or no image {image} ({error})") from error
    try:
        host, published = container.get_container_host_ip(), container.get_exposed_port(port)
        yield f"{host}:{published}"
    finally:
        await asyncio.to_thread(container.stop)


POSTGRES_WAYS: tuple[Way[str], ...] = (given_postgres, embedded_postgres, container_postgres)
NATS_WAYS: tuple[Way[str], ...] = (given_nats, embedded_nats, container_nats)
S3_WAYS: tuple[Way[S3], ...] = (given_s3, embedded_s3, container_s3)
