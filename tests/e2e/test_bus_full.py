"""The bus has no room left: that is told, nothing is lost, and room is made by what can be had again."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import Ports
from medley.cli.embedded.server import running
from tests.support.library import Follower, rows_of, running_library, until

ROOM = 24 * 1024 * 1024


class SmallNats(Nats):
    def prepare(self) -> None:
        super().prepare()
        config = self.folder / "nats.conf"
        config.write_text(config.read_text().replace("jetstream {", f"jetstream {{ max_file_store: {ROOM},"))


@pytest.fixture
async def small_bus(tmp_path: Path) -> AsyncIterator[str]:
    server = SmallNats(tmp_path / "nats", Ports(), secrets.token_urlsafe(12))
    async with running(server, tmp_path / "nats.log"):
        yield server.url


async def unconfirmed(database: asyncpg.Connection, written: int) -> bool:
    """Whether Postgres still keeps what was written at this LSN."""
    confirmed = "SELECT min(confirmed_flush_lsn - '0/0'::pg_lsn)::bigint FROM pg_replication_slots"
    return bool(await database.fetchval(confirmed) < written)


async def test_what_does_not_fit_waits_in_postgres(small_bus: str, postgres_dsn: str, tmp_path: Path) -> None:
    async with running_library(postgres_dsn, small_bus, tmp_path) as library, httpx.AsyncClient() as http:
        database = await library.connect()
        await database.execute("CREATE TABLE full_bus (id int PRIMARY KEY, text text)")
        await database.execute("INSERT INTO full_bus SELECT g, 'a' FROM generate_series(1, 100) g")
        async with Follower(library.api, "full_bus") as follower:
            await follower.reaches(await rows_of(database, "full_bus"))

            async def told() -> bool:
                await database.execute("UPDATE full_bus SET text = repeat(md5(random()::text), 300)")
                return (await http.get(f"{library.api}/v1/health")).status_code == 202

            await until(told, "health says that the library is not active")
            await database.execute("UPDATE full_bus SET text = 'last'")
            written = await database.fetchval("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
            rows = await rows_of(database, "full_bus")
            assert list(follower.copy.rows.values()) != rows
            assert await unconfirmed(database, written)
            await follower.reaches(rows)
            await library.active()
        await database.close()
