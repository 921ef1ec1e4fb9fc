"""The migrator on a real server: once each, whole or not at all, and the gate behind it."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from medley.gate.gate import keeping
from medley.gate.judge import Build
from medley.gate.shipped import shipped
from medley.runtime.errors import Permanent, Unavailable
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.migrator.app import migrate
from tests.support.databases import MakeDatabase

STOP = asyncio.Event()


def settings(dsn: str, url: str, folder: Path | None = None) -> tuple[PostgresSettings, NatsSettings, SchemaSettings]:
    schema = SchemaSettings() if folder is None else SchemaSettings(dir=folder)
    return PostgresSettings(dsn=dsn), NatsSettings(url=url), schema  # type: ignore[arg-type]


async def test_eight_migrators_at_once_apply_each_file_once(
    new_database: MakeDatabase, fresh_nats_url: str, tmp_path: Path
) -> None:
    dsn = await new_database()
    for number in range(5):
        (tmp_path / f"160000000{number}_x.sql").write_text(
            f"CREATE TABLE t{number} (id int); SELECT pg_sleep(0.01); INSERT INTO t{number} VALUES (1);"
        )
    states = await asyncio.gather(*(migrate(*settings(dsn, fresh_nats_url, tmp_path)) for _ in range(8)))
    assert {state.applied for state in states} == {tuple(f"160000000{n}_x.sql" for n in range(5))}
    connection = await asyncpg.connect(dsn)
    for number in range(5):
        assert await connection.fetchval(f"SELECT count(*) FROM t{number}") == 1
    await connection.close()


async def test_a_failing_migration_leaves_nothing_of_it_and_closes_the_gate(
    new_database: MakeDatabase, fresh_nats_url: str, tmp_path: Path
) -> None:
    dsn = await new_database()
    (tmp_path / "1600000000_good.sql").write_text("CREATE TABLE good (id int);")
    (tmp_path / "1600000001_bad.sql").write_text("CREATE TABLE bad (id int); SELECT 1 / 0; CREATE TABLE never ();")
    with pytest.raises(Permanent, match=r"1600000001_bad\.sql:1:28: division by zero"):
        await migrate(*settings(dsn, fresh_nats_url, tmp_path))
    connection = await asyncpg.connect(dsn)
    tables = [
        row["relname"]
        for row in await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
    ]
    assert tables == ["good", "schema_versions"]
    await connection.close()

    postgres, nats, schema = settings(dsn, fresh_nats_url, tmp_path)
    build = Build(shipped(tmp_path))
    async with keeping("test", build, postgres, nats, schema.model_copy(update={"wait_seconds": 1}), STOP) as (shut, _):
        with pytest.raises(Unavailable, match="division by zero"):
            await shut.opened()
    (tmp_path / "1600000001_bad.sql").write_text("CREATE TABLE bad (id int);")
    async with keeping("test", Build(shipped(tmp_path)), postgres, nats, schema, STOP) as (gate, _):
        opening = asyncio.create_task(gate.opened())
        state = await migrate(postgres, nats, schema)
        await opening
        assert (gate.answer.verdict, state.applied) == ("equal", ("1600000000_good.sql", "1600000001_bad.sql"))


async def test_the_library_schema_guards_its_rows(new_database: MakeDatabase, fresh_nats_url: str) -> None:
    dsn = await new_database()
    await migrate(*settings(dsn, fresh_nats_url))
    connection = await asyncpg.connect(dsn)
    blob = (
        "INSERT INTO media_blobs (sha256, size, mime, placement) VALUES ($1, $2, 'audio/flac', 'inline') RETURNING id"
    )
    digest = "a" * 64
    blob_id = await connection.fetchval(blob, digest, 1)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.fetchval(blob, digest, 1)
    refused = [
        (blob, ("b" * 63, 1)),
        (blob, ("b" * 64, 0)),
        ("UPDATE media_blobs SET placement = 's3'", ()),
        ("UPDATE media_blobs SET metadata = '[]'", ()),
        ("INSERT INTO songs (blob_id, title) VALUES ($1, '')", (blob_id,)),
        ("INSERT INTO songs (blob_id, title, seconds) VALUES ($1, 'x', 'NaN')", (blob_id,)),
        ("INSERT INTO config (id) VALUES ('other')", ()),
        ("INSERT INTO ingest_jobs (id, state) VALUES (gen_random_uuid(), 'failed')", ()),
        ("INSERT INTO ingest_jobs (id, state) VALUES (gen_random_uuid(), 'lost')", ()),
    ]
    for statement, arguments in refused:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(statement, *arguments)
    assert await connection.fetchval("SELECT count(*) FROM config") == 1
    plan = await connection.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'songs_artist'")
    assert "metadata ->> 'artist'" in plan
    await connection.close()
