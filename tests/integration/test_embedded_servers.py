"""The embedded servers, each on its own: they keep their data, stay on loopback, and come back after a kill."""

import asyncio
import contextlib
import os
import secrets
import signal
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest

from medley.cli.embedded.child import descendants
from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import LOOPBACK, Ports, free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.seaweedfs import SeaweedFS
from medley.cli.embedded.server import running
from tests.support import servers, stacks, web


async def test_postgres_keeps_its_data_and_is_ready_for_replication(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", free_port(), "a p@ss/word", durable=False)
    for run in range(2):
        async with running(server, tmp_path / "log") as (_, child):
            assert stacks.listening([psutil.Process(child.pid), *descendants(child.pid)]) == {LOOPBACK}
            connection = await asyncpg.connect(server.url)
            if run == 0:
                await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            assert await connection.fetchval("SELECT answer FROM kept") == 42
            assert await connection.fetchval("SHOW wal_level") == "logical"
            assert await connection.fetchval("SHOW max_replication_slots") == "20"
            await connection.close()
        assert child.process.returncode == 0


async def test_postgres_wants_its_password(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", free_port(), secrets.token_urlsafe(), durable=False)
    async with running(server, tmp_path / "log"):
        for user_and_password in ("postgres:wrong", "postgres"):
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await asyncpg.connect(f"postgresql://{user_and_password}@{LOOPBACK}:{server.port}/medley")


async def test_postgres_comes_back_after_a_kill_though_a_process_of_it_hangs(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", free_port(), "secret", durable=False)
    async with running(server, tmp_path / "log") as (_, child):
        hanging = next(each for each in descendants(child.pid) if "walwriter" in " ".join(each.cmdline()))
        hanging.suspend()  # as in a write to a slow disk
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        assert (server.data / "postmaster.pid").exists()
    try:
        async with running(server, tmp_path / "log"):
            await (await asyncpg.connect(server.url)).close()
        assert stacks.alive([hanging]) == []
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            hanging.kill()


async def test_postgres_that_was_left_running_makes_room(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", free_port(), "secret", durable=False)
    async with running(server, tmp_path / "log") as (_, left), running(server, tmp_path / "log") as (_, child):
        await asyncio.wait_for(left.wait(), 10)
        assert child.process.returncode is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends Postgres another account")
async def test_postgres_runs_for_root_below_a_folder_closed_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "postgres", free_port(), "secret", durable=False)
    async with running(server, tmp_path / "log") as (_, child):
        assert psutil.Process(child.pid).uids().real != 0
        await (await asyncpg.connect(server.url)).close()
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_nats_keeps_its_streams_and_wants_its_password(tmp_path: Path) -> None:
    server = Nats(tmp_path / "nats", Ports(), "secret")
    for run in range(2):
        async with running(server, tmp_path / "log") as (_, child):
            assert stacks.listening([psutil.Process(child.pid), *descendants(child.pid)]) == {LOOPBACK}
            client = await nats.connect(server.url)
            assert client.max_payload == 8 * 1024**2
            js = client.jetstream()
            if run == 0:
                await js.add_stream(name="KEPT", subjects=["kept"])
                await js.publish("kept", b"42")
                child.kill()  # acked is kept, without an orderly stop too
            else:
                assert (await js.get_last_msg("KEPT", "kept")).data == b"42"
            await client.close()
    server_without_password = f"nats://{LOOPBACK}:{server.port}"
    async with running(server, tmp_path / "log"):
        with pytest.raises(nats.errors.Error, match="Authorization"):
            await nats.connect(server_without_password, allow_reconnect=False)


async def test_s3_has_its_bucket_and_stays_on_loopback(tmp_path: Path) -> None:
    server = SeaweedFS(tmp_path / "s3", Ports(), "key", secrets.token_hex(20))
    async with running(server, tmp_path / "log") as (_, child), web.client(trust_env=False) as client:
        assert stacks.listening([psutil.Process(child.pid), *descendants(child.pid)]) == {LOOPBACK}
        assert (await client.get(f"{server.url}/medley/")).status_code == 403


@pytest.mark.parametrize("ways", [servers.POSTGRES_WAYS, servers.NATS_WAYS, servers.S3_WAYS])
async def test_an_address_in_the_environment_comes_first(
    ways: tuple[servers.Way[object], ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEST_POSTGRES_DSN", "TEST_NATS_URL", "TEST_S3_ENDPOINT"):
        monkeypatch.setenv(name, "given")
    async with servers.first_of(ways, tmp_path) as address:
        assert address in ("given", servers.S3("given", "", ""))


@pytest.mark.docker
@pytest.mark.parametrize("way", [servers.container_postgres, servers.container_nats, servers.container_s3])
async def test_containers_serve_where_nothing_else_does(way: servers.Way[object], tmp_path: Path) -> None:
    server = way(tmp_path)
    try:
        await server.__aenter__()
    except servers.NotHere as error:
        pytest.skip(str(error))
    await server.__aexit__(None, None, None)


async def test_without_any_server_a_laptop_skips_and_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no server for this test: nowhere"):
        servers.nothing(["nowhere"])
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="nowhere"):
        servers.nothing(["nowhere"])
