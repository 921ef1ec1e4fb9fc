"""Whatever is wrong with files, server or role: the database is as before, and the message says what to do."""

import asyncio
import contextlib
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from medley.gate import catalogue, objects
from medley.runtime.settings import SchemaSettings
from tests.support.databases import MakeDatabase
from tests.support.library import until
from tests.support.migrator import Migrations

SONGS = "CREATE TABLE songs (id int PRIMARY KEY, title text NOT NULL);\n"


@pytest_asyncio.fixture
async def files(new_database: MakeDatabase, tmp_path: Path) -> Migrations:
    return Migrations(tmp_path, await new_database())


@pytest_asyncio.fixture
async def database(files: Migrations) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(files.dsn)
    yield connection
    await connection.close()


async def unchanged(connection: asyncpg.Connection, before: objects.Catalogue) -> None:
    assert (await catalogue.read(connection)).entries == before.entries


async def test_a_syntax_fault_stops_the_run_before_anything_of_its_file(
    files: Migrations, database: asyncpg.Connection
) -> None:
    good = files.add("songs", SONGS)
    bad = files.add("oops", "CREATE TABLE albums (id int);\nCREATE TABLE artists (id int,);\n")
    done = await files.apply()
    assert done.code == 1
    assert f'{bad}:2:30: syntax error, near \\")\\"' in done.err and "nothing of it was applied" in done.err
    assert await database.fetchval("SELECT array_agg(filename) FROM schema_versions") == [good]
    assert await database.fetchval("SELECT to_regclass('albums')") is None


async def test_a_statement_that_fails_in_the_middle_leaves_nothing(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS)
    await files.applied()
    before = await catalogue.read(database)
    bad = files.add(
        "middle",
        "INSERT INTO songs VALUES (1, 'kept?');\nALTER TABLE songs ADD COLUMN year int;\n"
        "DO $$\nBEGIN\n  PERFORM 1 / 0;\nEND $$;\nALTER TABLE songs ADD COLUMN album text;\n",
    )
    done = await files.apply("--json")
    assert done.code == 1 and done.value["applied"] == []
    assert f"{bad}:5:" in done.value["error"] and "division by zero" in done.value["error"]
    await unchanged(database, before)
    assert await database.fetchval("SELECT count(*) FROM songs") == 0


async def test_a_deferred_constraint_fails_with_its_file_and_leaves_nothing(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS + "CREATE TABLE likes (song int REFERENCES songs DEFERRABLE INITIALLY DEFERRED);")
    await files.applied()
    bad = files.add("likes", "INSERT INTO likes (song) VALUES (7);")
    done = await files.apply()
    assert done.code == 1 and bad in done.err and "needed: rows that point to something" in done.err
    assert await database.fetchval("SELECT count(*) FROM likes") == 0


@pytest.mark.parametrize("text", ["COMMIT;", "BEGIN; SELECT 1; END;", "SELECT 1; ROLLBACK;", "\\i other.sql"])
async def test_a_file_may_not_end_the_transaction_that_keeps_it_whole(
    files: Migrations, database: asyncpg.Connection, text: str
) -> None:
    bad = files.add("commits", SONGS + text)
    done = await files.apply()
    assert done.code == 1 and f"{bad}:2:" in done.err
    assert await database.fetchval("SELECT to_regclass('songs')") is None


async def test_session_settings_do_not_leak_into_the_next_file(files: Migrations, database: asyncpg.Connection) -> None:
    files.add(
        "leaks", "CREATE SCHEMA other; SET search_path = other; CREATE TEMP TABLE songs (id int); SET ROLE pg_monitor;"
    )
    files.add("songs", SONGS)
    await files.applied()
    assert await database.fetchval("SELECT to_regclass('public.songs')::text") == "songs"


async def test_an_edited_file_is_refused_and_status_shows_what_changed(files: Migrations) -> None:
    name = files.add("songs", SONGS)
    await files.applied()
    (files.folder / name).write_text(SONGS.replace("title text", "title varchar(80)"))
    done = await files.apply()
    assert done.code == 1 and f"{name} was changed after it was applied" in done.err and "restore it" in done.err
    status = await files.run("status")
    assert status.code == 4
    assert "-CREATE TABLE songs (id int PRIMARY KEY, title text NOT NULL);" in status.out
    assert "+CREATE TABLE songs (id int PRIMARY KEY, title varchar(80) NOT NULL);" in status.out
    assert (await files.run("plan")).code == 4
    assert (await files.run("gate")).code == 4


async def test_an_edit_that_makes_the_same_schema_can_be_accepted(files: Migrations) -> None:
    name = files.add("songs", SONGS)
    files.add("albums", "CREATE TABLE albums (id int);")
    await files.applied()
    (files.folder / name).write_text("-- What people listen to.\n" + SONGS)
    assert (await files.run("resolve", name, "--edited")).code == 0
    assert (await files.run("status")).code == 0
    assert (await files.run("verify")).code == 0
    (files.folder / name).write_text(SONGS.replace("NOT NULL", ""))
    refused = await files.run("resolve", name, "--edited")
    assert refused.code == 5 and "column public.songs.title" in refused.err


async def test_line_endings_and_a_byte_order_mark_are_no_edit(files: Migrations) -> None:
    name = files.add("songs", "-- One.\n" + SONGS)
    await files.applied()
    (files.folder / name).write_bytes(b"\xef\xbb\xbf" + ("-- One.\n" + SONGS).replace("\n", "\r\n").encode())
    assert (await files.run("status")).code == 0


async def test_a_file_that_was_deleted_is_missed_by_name(files: Migrations) -> None:
    files.add("songs", SONGS)
    gone = files.add("albums", "CREATE TABLE albums (id int);")
    files.add("artists", "CREATE TABLE artists (id int);")
    await files.applied()
    (files.folder / gone).unlink()
    done = await files.apply()
    assert done.code == 1 and f"{gone} is applied, and its file is missing here" in done.err and "Restore" in done.err
    assert (await files.run("status")).code == 4


async def test_a_database_that_is_ahead_is_told_and_stops_only_where_it_breaks(files: Migrations) -> None:
    files.add("songs", SONGS)
    fine = files.add("year", "ALTER TABLE songs ADD COLUMN year int;")
    await files.applied()
    (files.folder / fine).rename(files.folder / "newer")
    assert (await files.apply()).code == 0
    status = await files.run("status")
    assert status.code == 0 and f"ahead by {fine}" in status.out and "compatible" in status.out
    (files.folder / "newer").rename(files.folder / fine)
    breaks = files.add("rename", "ALTER TABLE songs RENAME COLUMN title TO name;")
    await files.applied()
    (files.folder / breaks).unlink()
    status = await files.run("status")
    assert status.code == 4 and "needed: a build that has it" in status.out
    done = await files.apply()
    assert done.code == 4 and breaks in done.err
    gate = await files.run("gate", "--role", "reader")
    assert gate.code == 4 and "public.songs.title is renamed to name" in gate.out


async def test_a_late_file_is_refused_and_can_be_allowed(files: Migrations, database: asyncpg.Connection) -> None:
    files.add("songs", SONGS)
    newer = files.add("albums", "CREATE TABLE albums (id int);")
    await files.applied()
    late = files.add("late", "CREATE TABLE late (id int);", stamp=1_600_000_015)
    done = await files.apply()
    assert done.code == 1 and f"{late} is older than {newer}" in done.err and "--allow-out-of-order" in done.err
    await files.applied("--allow-out-of-order")
    assert await database.fetchval("SELECT remark FROM schema_versions WHERE filename = $1", late) == "out of order"
    assert (await files.run("verify")).code == 0


async def test_two_files_with_one_timestamp_are_refused_by_name(files: Migrations) -> None:
    one = files.add("songs", SONGS, stamp=1_600_000_001)
    two = files.add("albums", SONGS, stamp=1_600_000_001)
    done = await files.apply()
    assert done.code == 1 and one in done.err and two in done.err


async def test_a_role_that_may_only_read_changes_nothing_and_is_told(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS)
    role, before = f"reader_{secrets.token_hex(4)}", await catalogue.read(database)
    await database.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    parts = urlsplit(files.dsn)
    reader = urlunsplit(parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}"))
    done = await files.apply(POSTGRES_DSN=reader)
    assert done.code == 1 and "permission denied" in done.err and "needed: a role that owns" in done.err
    await unchanged(database, before)
    await files.applied()
    await database.execute(f"GRANT SELECT ON schema_versions, songs TO {role}")
    assert (await files.run("status", POSTGRES_DSN=reader)).code == 0
    files.add("year", "ALTER TABLE songs ADD COLUMN year int;")
    done = await files.apply(POSTGRES_DSN=reader)
    assert done.code == 1 and "must be owner of table songs" in done.err and "run it as the owner" in done.err
    await database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_server_that_takes_no_writes_is_told(files: Migrations, database: asyncpg.Connection) -> None:
    files.add("songs", SONGS)
    name = urlsplit(files.dsn).path.lstrip("/")
    await database.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    done = await files.apply()
    assert done.code == 1 and "read-only" in done.err and "point POSTGRES_DSN at the primary" in done.err
    assert await database.fetchval("SELECT to_regclass('schema_versions')") is None


async def test_no_server_at_all_has_an_exit_code_of_its_own(files: Migrations) -> None:
    nowhere = {"POSTGRES_DSN": "postgresql://postgres@127.0.0.1:9/medley", "POSTGRES_WAIT_SECONDS": "0.2"}
    for command in (("apply", "--no-announce"), ("status",), ("gate",), ("plan",)):
        done = await files.run(*command, **nowhere)
        assert done.code == 6 and "127.0.0.1:9" in done.out + done.err and "POSTGRES_DSN" in done.out + done.err


async def test_a_full_disk_leaves_the_database_as_it_was(
    files: Migrations, database: asyncpg.Connection, servers_folder: Path
) -> None:
    """A real one: a file system of 2 MiB, under a tablespace."""
    data = Path(await database.fetchval("SHOW data_directory"))
    if (folder := await asyncio.to_thread(_small_disk, data)) is not None:
        try:
            await _fills_up(files, database, folder)
        finally:
            with contextlib.suppress(asyncpg.PostgresError):
                await database.execute("DROP TABLE IF EXISTS big")
                await database.execute(f"DROP TABLESPACE {folder.name}")
            subprocess.run(["umount", "-l", folder], check=True)  # noqa: ASYNC221
    else:
        pytest.skip("only root can make a small disk, beside a server of ours")


def _small_disk(data: Path) -> Path | None:
    """A mounted folder that the server may write to; None where we may not mount."""
    if not data.exists():
        return None
    folder = data.parent / f"small_{secrets.token_hex(4)}"
    folder.mkdir()
    shutil.chown(folder, data.owner(), data.group())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        return None
    shutil.chown(folder, data.owner(), data.group())
    folder.chmod(0o700)
    return folder


async def _fills_up(files: Migrations, database: asyncpg.Connection, folder: Path) -> None:
    await database.execute(f"CREATE TABLESPACE {folder.name} LOCATION '{folder}'")
    files.add("songs", SONGS)
    await files.applied()
    before = await catalogue.read(database)
    bad = files.add(
        "big",
        f"ALTER TABLE songs ADD COLUMN year int;\nCREATE TABLE big (id int, text text) TABLESPACE {folder.name};\n"
        "INSERT INTO big (id, text) SELECT n, repeat('x', 900) FROM generate_series(1, 20000) AS n;\n",
    )
    done = await files.apply()
    assert done.code == 1 and f"{bad}:3:" in done.err and "needed: free space on the server" in done.err
    await unchanged(database, before)


async def test_a_table_that_somebody_holds_is_waited_for_in_short_tries_and_then_named(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS)
    await files.applied()
    bad = files.add("year", "ALTER TABLE songs ADD COLUMN year int;")
    quick = {"MIGRATE_LOCK_TIMEOUT_SECONDS": "0.1", "MIGRATE_LOCK_WAIT_SECONDS": "0.5"}
    await database.execute("SET application_name = 'a careless report'")
    async with database.transaction():
        await database.fetch("SELECT id FROM songs")
        done = await files.apply(**quick)
    assert done.code == 6 and bad in done.err and "a careless report" in done.err and "nothing of it" in done.err
    assert done.err.count("not now, trying again") > 1
    await files.applied()


async def test_the_lock_is_released_between_tries_so_that_others_get_through(
    files: Migrations, database: asyncpg.Connection
) -> None:
    """A waiting ALTER holds up everybody behind it: not longer than one try."""
    files.add("songs", SONGS)
    await files.applied()
    files.add("year", "ALTER TABLE songs ADD COLUMN year int;")
    transaction = database.transaction()
    await transaction.start()
    await database.fetch("SELECT id FROM songs")
    running = asyncio.create_task(files.apply(MIGRATE_LOCK_TIMEOUT_SECONDS="0.2"))
    other = await asyncpg.connect(files.dsn)

    async def waits() -> bool:
        return bool(await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND database <> 0"))

    await until(waits, "the migration waits")
    await other.fetch("SELECT id FROM songs")  # returns although the reader before still holds its lock
    await transaction.commit()
    assert (await running).code == 0
    await other.close()


async def test_a_run_that_lost_its_lock_stops(files: Migrations, database: asyncpg.Connection) -> None:
    """As behind a pooler in transaction mode, where the next transaction may be another session's."""
    files.add("songs", SONGS + "SELECT pg_advisory_unlock_all();")
    files.add("year", "ALTER TABLE songs ADD COLUMN year int;")
    done = await files.apply()
    assert done.code == 1 and "does not hold the migrator's lock any more" in done.err and "session mode" in done.err
    assert await database.fetchval("SELECT count(*) FROM schema_versions") == 1
    await files.applied()


async def test_an_index_that_could_not_be_built_is_explained_and_resolved(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS)
    await files.applied()
    await database.execute("INSERT INTO songs VALUES (1, 'same'), (2, 'same')")
    name = files.add(
        "titles", "-- migrate: no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY titles ON songs (title);\n"
    )
    done = await files.apply()
    assert done.code == 1 and "index public.songs.titles" in done.err and f"resolve {name} --retry" in done.err
    status = await files.run("status")
    assert status.code == 4 and "DROP INDEX CONCURRENTLY titles" in status.out
    assert await database.fetchval("SELECT 1 FROM schema_versions WHERE filename = $1", name) is None
    assert (await files.run("resolve", name, "--applied")).code == 1
    await database.execute("DROP INDEX CONCURRENTLY titles")
    await database.execute("UPDATE songs SET title = 'other' WHERE id = 2")
    assert (await files.run("resolve", name, "--retry")).code == 0
    await files.applied()
    assert (await files.run("verify")).code == 0
    assert (await files.run("resolve", name, "--retry")).code == 1


async def test_what_fails_outside_a_transaction_without_a_trace_is_pending_again(files: Migrations) -> None:
    files.add("songs", SONGS)
    await files.applied()
    name = files.add("titles", "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY titles ON songs (titel);\n")
    done = await files.apply()
    assert done.code == 1 and f"{name}:2:" in done.err and "nothing of it was applied" in done.err
    (files.folder / name).write_text("-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY titles ON songs (title);\n")
    await files.applied()


async def test_drift_is_told_object_by_object_and_nothing_is_offered_to_delete(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS + "CREATE INDEX songs_title ON songs (title);")
    await files.applied()
    await database.execute(
        "ALTER TABLE songs ADD COLUMN hand text; DROP INDEX songs_title; CREATE TABLE stray (id int)"
    )
    status = await files.run("status", "--json")
    assert status.code == 5
    assert [line[:32] for line in status.value["drift"]] == [
        "+ column public.songs.hand text",
        "+ column public.stray.id integer",
        "- index public.songs.songs_title",
        "+ table public.stray",
    ]
    assert "drop" not in (await files.run("status")).out.lower().replace("drop index", "")
    assert (await files.run("gate")).code == 5
    assert (await files.run("verify")).code == 5
    files.add("albums", "CREATE TABLE albums (id int);")
    await files.applied()  # goes on, and the drift is still told, no more and no less
    assert (await files.run("status", "--json")).value["drift"] == status.value["drift"]
    await database.execute(
        "ALTER TABLE songs DROP COLUMN hand; DROP TABLE stray; CREATE INDEX songs_title ON songs (title)"
    )
    assert (await files.run("status")).code == 0


async def test_a_service_and_a_contract_can_be_asked_for(files: Migrations) -> None:
    ours = {"SCHEMA_DIR": str(SchemaSettings().dir)}
    assert (await files.run("gate", "--service", "ingest", **ours)).code == 3
    assert (await files.run("apply", "--no-announce", **ours)).code == 0
    for service in ("ingest", "sync", "api"):
        done = await files.run("gate", "--service", service, "--timeout", "5", "--json", **ours)
        assert (done.code, done.value["verdict"]) == (0, "equal")
    unknown = await files.run("gate", "--service", "nobody", **ours)
    assert unknown.code == 1 and "api, ingest, sync" in unknown.err
    bundle = await files.run("gate", "--contract", str(SchemaSettings().dir / "bundle.json"), **ours)
    assert bundle.code == 0


async def test_an_existing_database_is_adopted_only_as_what_the_files_make(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add("songs", SONGS)
    at = files.add("year", "ALTER TABLE songs ADD COLUMN year int;")
    files.add("albums", "CREATE TABLE albums (id int);")
    await database.execute(SONGS)
    refused = await files.run("baseline", "--at", at)
    assert refused.code == 5 and "- column public.songs.year integer" in refused.err
    assert await database.fetchval("SELECT to_regclass('schema_versions')") is None
    await database.execute("ALTER TABLE songs ADD COLUMN year int")
    assert (await files.run("baseline", "--at", at)).code == 0
    assert (await files.run("status")).code == 3
    await files.applied()
    assert (await files.run("verify")).code == 0
    assert (await files.run("baseline", "--at", at)).code == 1


async def test_older_clients_still_ask_the_ledger_their_way(files: Migrations, database: asyncpg.Connection) -> None:
    name = files.add("songs", SONGS)
    await files.applied()
    assert await database.fetchval("SELECT 1 FROM schema_versions WHERE filename = $1", name) == 1
    assert await database.fetchval("SELECT applied_at <= now() FROM schema_versions WHERE filename = $1", name)
    await database.execute("INSERT INTO schema_versions (filename, applied_at) VALUES ('x', now())")
    await database.execute("DELETE FROM schema_versions WHERE filename = 'x'")


async def test_a_ledger_of_old_is_taken_over(files: Migrations, database: asyncpg.Connection) -> None:
    """`schema_versions (filename, applied_at)` and nothing else, made by a hand or by other code."""
    name = files.add("songs", SONGS)
    await database.execute(SONGS + "CREATE TABLE schema_versions (filename text PRIMARY KEY, applied_at timestamptz)")
    await database.execute("INSERT INTO schema_versions VALUES ($1, now())", name)
    assert (await files.run("plan")).out.strip() == "nothing to apply"
    files.add("albums", "CREATE TABLE albums (id int);")
    await files.applied()
    assert (await files.run("status")).code == 0
    assert (await files.run("verify")).code == 0
    (files.folder / name).write_text(SONGS + "-- edited")
    assert (await files.apply()).code == 1


async def test_a_failed_run_still_knows_what_is_drift(files: Migrations, database: asyncpg.Connection) -> None:
    """A table of the user's own, and a run whose second file fails: afterwards the drift is that table, as before."""
    await database.execute("CREATE TABLE mine (id int)")
    files.add("songs", SONGS)
    bad = files.add("bad", "SELECT 1 / 0;")
    assert (await files.apply()).code == 1
    mine = ["+ column public.mine.id integer", "+ table public.mine"]
    assert (await files.run("status", "--json")).value["drift"] == mine
    (files.folder / bad).write_text("CREATE TABLE albums (id int);")
    await files.applied()
    assert (await files.run("status", "--json")).value["drift"] == mine
    await database.execute("ALTER TABLE songs ADD COLUMN hand text")
    assert (await files.run("status", "--json")).value["drift"][1:] == ["+ column public.songs.hand text", mine[1]]


async def test_a_bus_that_is_down_hides_nothing_and_hangs_nobody(files: Migrations) -> None:
    files.add("songs", SONGS)
    down = {"NATS_URL": "nats://127.0.0.1:9", "NATS_WAIT_SECONDS": "0.5"}
    done = await files.run("apply", **down)
    assert done.code == 6 and "nobody was told" in done.err
    assert (await files.run("status")).code == 0
    bad = files.add("bad", "SELECT 1 / 0;")
    done = await files.run("apply", "--json", **down)
    assert done.code == 1 and f"{bad}:1:1: division by zero" in done.value["error"]


async def test_a_procedure_that_commits_as_it_goes_is_not_called_undone(
    files: Migrations, database: asyncpg.Connection
) -> None:
    files.add(
        "fill",
        SONGS + "CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..9 LOOP\n"
        "  INSERT INTO songs (id, title) VALUES (i, 1 / (6 - i)); COMMIT; END LOOP; END $$;",
    )
    await files.applied()
    name = files.add("call", "-- migrate: no-transaction\nCALL fill();\n")
    done = await files.apply()
    assert done.code == 1 and "may have left" in done.err and "nothing of it" not in done.err
    assert await database.fetchval("SELECT count(*) FROM songs") == 5
    again = await files.apply()
    assert again.code == 1 and f"resolve {name} --applied" in again.err


async def test_a_word_of_a_person_makes_no_drift_official(files: Migrations, database: asyncpg.Connection) -> None:
    files.add("songs", SONGS)
    await files.applied()
    await database.execute("CREATE TABLE mine (id int); INSERT INTO songs VALUES (1, 'same'), (2, 'same')")
    reason = '-- compat: accept writer-breaking reason="writers keep it"\n'
    name = files.add(
        "titles", f"-- migrate: no-transaction\n{reason}CREATE UNIQUE INDEX CONCURRENTLY titles ON songs (title);\n"
    )
    assert (await files.apply()).code == 1
    await database.execute("DROP INDEX titles; DELETE FROM songs; CREATE UNIQUE INDEX titles ON songs (title)")
    assert (await files.run("resolve", name, "--applied")).code == 0
    status = (await files.run("status", "--json")).value
    assert status["drift"] == ["+ column public.mine.id integer", "+ table public.mine"]
    assert status["applied"][-1]["compat"]["writer"] == "compatible"


async def test_a_table_of_somebody_else_is_not_taken_for_the_ledger(
    files: Migrations, database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TABLE schema_versions (version int, at date)")
    before = await catalogue.read(database)
    columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'schema_versions'::regclass AND attnum > 0"
    files.add("songs", SONGS)
    done = await files.apply()
    assert done.code == 1 and "no ledger of ours" in done.err and "Rename that table" in done.err
    await unchanged(database, before)
    assert await database.fetchval(columns) == 2


async def test_what_a_file_prepares_is_gone_in_the_next(files: Migrations) -> None:
    files.add("one", "PREPARE p AS SELECT 1; DEALLOCATE ALL; PREPARE p AS SELECT 2;")
    files.add("two", "PREPARE p AS SELECT 3;")
    await files.applied()
