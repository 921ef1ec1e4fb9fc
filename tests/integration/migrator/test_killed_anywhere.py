"""A migrator that dies between any two steps leaves every file whole or absent, and the next run ends the work."""

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from medley.runtime.errors import MedleyError
from medley.runtime.settings import SchemaSettings
from services.migrator.app import Wishes, run
from services.migrator.settings import MigrateSettings
from tests.support import forks
from tests.support.databases import MakeDatabase
from tests.support.library import until
from tests.support.migrated import postgres_settings
from tests.support.relay import relay

FILES = 3
MIGRATOR, APPLY = "services.migrator", ("apply", "--no-announce", "--json")
ALONE = "1600000009_alone.sql"
MIGRATORS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'medley-migrator' AND datname = current_database()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FILES):
        (tmp_path / f"160000000{number}_t{number}.sql").write_text(
            f"CREATE TABLE t{number} (id int PRIMARY KEY);\n"
            f"INSERT INTO t{number} (id) SELECT generate_series(1, 3);\n"
            f"DO $$ BEGIN ALTER TABLE t{number} ADD COLUMN name text; END $$;\n"
            f"INSERT INTO t{number} (id, name) VALUES (4, 'last');\n"
        )
    return tmp_path


async def whole(dsn: str) -> int:
    """Every file is there with its row, or neither; how many are."""
    connection = await asyncpg.connect(dsn)
    try:
        if await connection.fetchval("SELECT to_regclass('schema_versions')") is None:
            names = []
        else:
            names = [row["filename"] for row in await connection.fetch("SELECT filename FROM schema_versions")]
        assert len(names) == len(set(names))
        for number in range(FILES):
            made = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"t{number}")
            assert made == (f"160000000{number}_t{number}.sql" in names)
            if made:
                assert (
                    await connection.fetchval(f"SELECT array_agg(id ORDER BY id)::text FROM t{number}") == "{1,2,3,4}"
                )
        return len(names)
    finally:
        await connection.close()


async def attempt(dsn: str, folder: Path, wait_seconds: float = 0) -> None:
    postgres = postgres_settings(dsn).model_copy(update={"wait_seconds": wait_seconds})
    await run(Wishes(postgres, SchemaSettings(dir=folder), None, MigrateSettings()))


async def nobody_holds_on(dsn: str) -> None:
    """The server has noticed that the session is gone, and rolled back what it was doing."""
    connection = await asyncpg.connect(dsn)

    async def gone() -> bool:
        return not await connection.fetchval(MIGRATORS)

    await until(gone, "the migrator's session is gone")
    await connection.close()


@pytest.mark.timeout(600)  # some sixty runs of a migrator
@pytest.mark.parametrize("deliver", [False, True], ids=["lost", "delivered"])
async def test_a_connection_that_dies_at_any_message(new_database: MakeDatabase, folder: Path, deliver: bool) -> None:
    """Message after message of one run: cut before it arrives, or after it and before the answer."""
    pieces = await _messages_of_a_run(await new_database(), folder)
    assert pieces > 10 * FILES
    for at in range(1, pieces + 1, 1 if os.environ.get("EVERY_MESSAGE") else 4):
        dsn = await new_database()
        async with relay(dsn) as between:
            between.cut_at, between.deliver = at, deliver
            with contextlib.suppress(MedleyError, OSError):
                await attempt(_through(dsn, between.url), folder)
        await nobody_holds_on(dsn)
        await whole(dsn)
        await attempt(dsn, folder)
        assert await whole(dsn) == FILES


async def _messages_of_a_run(dsn: str, folder: Path) -> int:
    async with relay(dsn) as between:
        await attempt(_through(dsn, between.url), folder)
        return between.pieces


def _through(dsn: str, url: str) -> str:
    parts, port = urlsplit(dsn), urlsplit(url).port
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"))


async def test_a_connection_that_dies_once_is_made_again_in_the_same_run(
    new_database: MakeDatabase, folder: Path
) -> None:
    dsn = await new_database()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE hold (id int)")
    await connection.execute("BEGIN; LOCK TABLE hold")
    (folder / "1600000008_waits.sql").write_text("ALTER TABLE hold ADD COLUMN name text;")
    running = asyncio.create_task(attempt(dsn, folder, wait_seconds=30))
    other = await asyncpg.connect(dsn)

    async def waits() -> bool:
        return bool(await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    await until(waits, "the migrator waits for the table")
    await other.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'medley-migrator' AND datname = current_database()"
    )
    await connection.execute("COMMIT")
    await running
    assert await whole(dsn) == FILES + 1
    await connection.close()
    await other.close()


def _env(dsn: str, folder: Path) -> dict[str, str]:
    return {**os.environ, "POSTGRES_DSN": dsn, "SCHEMA_DIR": str(folder), "LOG_FORMAT": "json"}


@pytest.mark.parametrize("seed", range(6))
async def test_kill_9_at_any_moment(new_database: MakeDatabase, folder: Path, tmp_path: Path, seed: int) -> None:
    """Three kills of one database's migrators, then a run that is let alone."""
    dsn, chance, log = await new_database(), random.Random(seed), tmp_path / "log"  # noqa: S311
    for _ in range(3):
        process = await forks.start(MIGRATOR, APPLY, _env(dsn, folder), log, log)
        watching = await asyncpg.connect(dsn)
        while process.returncode is None and not await watching.fetchval(MIGRATORS):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await asyncio.sleep(chance.random() * 0.08)  # anywhere in the work, not at a moment of our choice
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await watching.close()
        await nobody_holds_on(dsn)
        await whole(dsn)
    code, output, errors = await forks.run(MIGRATOR, APPLY, _env(dsn, folder))
    assert code == 0, (output, errors)
    assert await whole(dsn) == FILES


async def test_twenty_migrators_at_once_on_an_empty_database(new_database: MakeDatabase, folder: Path) -> None:
    dsn = await new_database()
    said = await asyncio.gather(*(forks.run(MIGRATOR, APPLY, _env(dsn, folder)) for _ in range(20)))
    assert [code for code, _, _ in said] == [0] * 20, said
    assert sum(output.count(b'"filename"') for _, output, _ in said) == FILES  # each applied by one of them
    assert await whole(dsn) == FILES


@pytest.mark.timeout(600)
async def test_what_runs_outside_a_transaction_is_asked_about_when_it_was_killed(
    new_database: MakeDatabase, folder: Path
) -> None:
    """Cut at each message of the file's run: done, not begun, or told by name with both remedies."""
    (folder / ALONE).write_text("-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY t0_name ON t0 (name);\n")
    alone = folder / ALONE
    pieces = await _messages_of_a_run(await new_database(), folder)
    seen = set()
    for at in range(pieces - 24, pieces + 1, 2):
        dsn = await new_database()
        async with relay(dsn) as between:
            between.cut_at, between.deliver = at, True
            with contextlib.suppress(MedleyError, OSError):
                await attempt(_through(dsn, between.url), folder)
        await nobody_holds_on(dsn)
        try:
            await attempt(dsn, folder)
            seen.add("done")
        except MedleyError as error:
            assert f"resolve {alone.name} --applied` or `--retry`" in str(error)
            seen.add("asked")
            await _resolve(dsn, alone.name, folder)
        assert await whole(dsn) == FILES + 1
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 't0_name'::regclass")
        assert await connection.fetchval("SELECT count(*) FROM schema_started") == 0
        await connection.close()
    assert seen == {"done", "asked"}


async def _resolve(dsn: str, name: str, folder: Path) -> None:
    """As a person would: look whether the index is there and valid, and say so."""
    connection = await asyncpg.connect(dsn)
    valid = await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('t0_name')")
    if valid is False:
        await connection.execute("DROP INDEX CONCURRENTLY t0_name")
    await connection.close()
    word = "--applied" if valid else "--retry"
    code, _, errors = await forks.run(MIGRATOR, ("resolve", name, word), _env(dsn, folder))
    assert code == 0, errors
    await attempt(dsn, folder)
