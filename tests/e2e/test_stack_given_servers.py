"""Servers whose addresses are in the environment are used, and none is started in their place."""

import asyncio
from pathlib import Path

import asyncpg

from tests.support import stacks
from tests.support.servers import S3


async def test_given_servers_are_used(postgres_dsn: str, fresh_nats_url: str, s3: S3, tmp_path: Path) -> None:
    given = {
        "POSTGRES_DSN": postgres_dsn,
        "NATS_URL": fresh_nats_url,
        "S3_ENDPOINT": s3.endpoint,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key,
    }

    def story() -> None:
        file = tmp_path / "given.bin"
        file.write_bytes(b"given" * 100)
        with stacks.up(tmp_path / "home", "--allow", tmp_path, env=given) as stack:
            stack.active()
            state = stack.ready()
            assert set(state["pids"]) == {"ingest", "sync", "api"}
            assert (state["postgres"], state["nats"], state["s3"]) == (postgres_dsn, fresh_nats_url, s3.endpoint)
            assert stacks.medley("ingest", "--home", stack.home, file).returncode == 0

    await asyncio.to_thread(story)
    connection = await asyncpg.connect(postgres_dsn)
    assert await connection.fetchval("SELECT count(*) FROM media_blobs") == 1
    await connection.close()
