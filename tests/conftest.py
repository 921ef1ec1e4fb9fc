"""The servers of a test session, and fresh databases on them.

`postgres_server` (owner's address), `nats_url`, `s3`: one each for the session. `postgres_dsn`: an empty database of
the module. `new_database`: makes more. `fresh_nats_url`: a bus with no streams, for a module that wires services.
`library`: the services of shapes, running. `postgres_versions`: the owner's address of a server of each major version
that we claim, one after the other.
"""

import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from medley.cli.embedded.ports import draw_from_part
from tests.support import databases, servers
from tests.support.library import Library, running_library
from tests.support.versions import VERSIONS, postgres_of

# Hundreds of processes are started: to compile everything in each of them takes as long as all the rest.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

draw_from_part(
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest_asyncio.fixture(scope="session")
async def postgres_server(servers_folder: Path) -> AsyncIterator[str]:
    async with servers.first_of(servers.POSTGRES_WAYS, servers_folder) as url:
        yield url


@pytest_asyncio.fixture(scope="session", params=VERSIONS, ids=lambda version: f"postgres{version}")
async def postgres_versions(request: pytest.FixtureRequest, servers_folder: Path) -> AsyncIterator[str]:
    async with servers.first_of((partial(postgres_of, request.param),), servers_folder) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def nats_url(servers_folder: Path) -> AsyncIterator[str]:
    async with servers.first_of(servers.NATS_WAYS, servers_folder) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def s3(servers_folder: Path) -> AsyncIterator[servers.S3]:
    async with servers.first_of(servers.S3_WAYS, servers_folder) as address:
        yield address


@pytest_asyncio.fixture(scope="module")
async def new_database(postgres_server: str) -> AsyncIterator[databases.MakeDatabase]:
    """`await new_database()` gives the owner's address of an empty database; all are dropped after the module."""
    made: list[str] = []

    async def make() -> str:
        made.append(await databases.make_database(postgres_server))
        return made[-1]

    yield make
    for dsn in made:
        await databases.drop_database(dsn)


@pytest_asyncio.fixture(scope="module")
async def postgres_dsn(new_database: databases.MakeDatabase) -> str:
    return await new_database()


@pytest_asyncio.fixture(scope="module")
async def fresh_nats_url(nats_url: str) -> AsyncIterator[str]:
    await databases.clear_bus(nats_url)
    yield nats_url
    await databases.clear_bus(nats_url)


@pytest_asyncio.fixture(scope="module")
async def library(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    """migrator, sync and api as processes, on the module's database and a bus with no streams."""
    async with running_library(postgres_dsn, fresh_nats_url, tmp_path_factory.mktemp("library")) as running:
        yield running
