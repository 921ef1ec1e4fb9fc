"""`medley migrate seed`: what a new library begins with; a second time, by whatever way, no row is touched."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from medley.runtime.errors import ConfigurationError, Permanent
from services.migrator.commands.seeds import seed
from tests.integration.migrator.init_files import apply, psql
from tests.support.databases import MakeDatabase
from tests.support.migrator import Migrations

SCHEMA = Path(__file__).resolve().parents[3] / "schema"
SEEDED = ("config", "media_blobs", "playlist_songs", "playlists", "songs")


@pytest_asyncio.fixture
async def database(new_database: MakeDatabase) -> AsyncIterator[asyncpg.Connection]:
    """Migrated, with songs in it."""
    dsn = await new_database()
    await apply(dsn, SCHEMA)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO media_blobs (sha256, size, mime, placement)"
        " SELECT repeat(to_hex(n), 64), n, 'audio/mpeg', 'inline' FROM generate_series(1, 15) AS n;"
        "INSERT INTO songs (blob_id, title, created_at) SELECT id, 'Song ' || size, now() - size * interval '1 day'"
        " FROM media_blobs"
    )
    yield connection
    await connection.close()


async def everything(connection: asyncpg.Connection) -> dict[str, Any]:
    """Every row with its times, and which transaction wrote it."""
    return {
        table: await connection.fetch(f"SELECT xmin::text AS written, t.* FROM {table} AS t ORDER BY t::text")
        for table in SEEDED
    }


async def dsn_of(connection: asyncpg.Connection, server: str) -> str:
    return server.rpartition("/")[0] + "/" + str(await connection.fetchval("SELECT current_database()"))


async def test_a_second_time_touches_no_row(database: asyncpg.Connection, postgres_server: str) -> None:
    files = Migrations(SCHEMA, await dsn_of(database, postgres_server))
    first = await files.run("seed")
    assert (first.code, first.out) == (0, "seeded: 12 new rows\n")
    before = await everything(database)
    assert [len(rows) for rows in before.values()] == [1, 15, 10, 1, 15]
    oldest = "SELECT array_agg(title ORDER BY position) FROM playlist_songs JOIN songs ON songs.id = song_id"
    assert await database.fetchval(oldest) == [f"Song {n}" for n in range(15, 5, -1)]
    again = await files.run("seed", "--json")
    assert (again.code, again.value) == (0, {"rows": 0})
    done = await psql(files.dsn, SCHEMA / "seeds.sql")
    assert (done.code, done.err) == (0, "")
    assert await everything(database) == before


async def test_psql_alone_does_the_same_and_a_persons_choice_stays(
    database: asyncpg.Connection, postgres_server: str
) -> None:
    dsn = await dsn_of(database, postgres_server)
    await database.execute('UPDATE config SET settings = \'{"theme": "dark"}\'')
    assert (await psql(dsn, SCHEMA / "seeds.sql")).code == 0
    await database.execute("UPDATE playlists SET title = 'Mine'; DELETE FROM playlist_songs WHERE position > 3")
    before = await everything(database)
    assert before["config"][0]["settings"] == '{"theme": "dark"}' and len(before["playlist_songs"]) == 4
    assert (await psql(dsn, SCHEMA / "seeds.sql")).code == 0
    assert (await seed(database, SCHEMA)).value == {"rows": 0}
    assert await everything(database) == before


async def test_an_empty_library_is_seeded_and_songs_come_later(new_database: MakeDatabase) -> None:
    connection = await asyncpg.connect(await new_database())
    with pytest.raises(Permanent, match="needed one to fill; run `medley migrate apply` first"):
        await seed(connection, SCHEMA)
    await connection.close()
    dsn = await new_database()
    await apply(dsn, SCHEMA)
    connection = await asyncpg.connect(dsn)
    assert [(await seed(connection, SCHEMA)).value for _ in range(2)] == [{"rows": 2}, {"rows": 0}]
    await connection.close()


async def test_what_fails_is_told_with_its_place_and_leaves_nothing(
    database: asyncpg.Connection, tmp_path: Path
) -> None:
    before = await everything(database)
    with pytest.raises(ConfigurationError, match=r"seeds\.sql"):
        await seed(database, tmp_path)
    seeds = tmp_path / "seeds.sql"
    seeds.write_text("DELETE FROM songs;\nINSERT INTO playlists (titel) VALUES ('x');\n")
    with pytest.raises(Permanent, match=r'seeds\.sql:2:24: column "titel" .*; nothing of it was applied'):
        await seed(database, tmp_path)
    seeds.write_text("DELETE FROM songs;\nCOMMIT;\n")
    with pytest.raises(Permanent, match=r"seeds\.sql:2:1: "):
        await seed(database, tmp_path)
    assert await everything(database) == before
