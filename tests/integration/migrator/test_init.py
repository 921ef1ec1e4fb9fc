"""`psql -f schema/init.sql` makes the database that the migrations make; every later command finds its work done."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from services.migrator.commands.on_files import compiled
from tests.integration.migrator.init_files import PATH, WRITTEN, answers, apply, catalogue_of, psql, status
from tests.support.databases import MakeDatabase, drop_database, make_database
from tests.support.migrator import Migrations
from tests.support.versions import VERSIONS

SCHEMA = Path(__file__).resolve().parents[3] / "schema"
LIBRARY = "1763800000_library.sql"
EXTENSIONS = """
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE TABLE tagged (tag citext PRIMARY KEY CHECK (tag <> 'None'), note text);
INSERT INTO tagged (tag) VALUES ('Rock'), ('Jazz');
CREATE INDEX tagged_note ON tagged USING gin (note gin_trgm_ops);
"""
UP_TO_DATE = (("status",), ("plan",), ("verify",), ("gate",), ("gate", "--role", "writer"))


@pytest_asyncio.fixture(scope="module")
async def files(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Migrations:
    """Our own migrations, compiled."""
    folder = tmp_path_factory.mktemp("schema")
    for path in SCHEMA.glob("[0-9]*.sql"):
        shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        assert (await compiled(folder, postgres_server)).code == 0
    return Migrations(folder, postgres_server, postgres_server)


@pytest_asyncio.fixture(scope="module")
async def rows(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`init.sql` of migrations that write rows."""
    files = Migrations(tmp_path_factory.mktemp("rows"), postgres_server)
    files.add("written", WRITTEN)
    files.add("extensions", EXTENSIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        assert (await compiled(files.folder, postgres_server)).code == 0
    return files.folder / "init.sql"


@pytest_asyncio.fixture
async def bare(postgres_versions: str) -> AsyncIterator[str]:
    dsn = await make_database(postgres_versions)
    yield dsn
    await drop_database(dsn)


async def test_the_files_beside_our_migrations_are_what_they_make(
    postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", PATH)
    report = await compiled(SCHEMA, postgres_server, check=True)
    assert report.code == 0, report.text


async def test_it_is_what_the_migrations_make_on_every_version(
    files: Migrations, bare: str, postgres_versions: str
) -> None:
    done = await psql(bare, files.folder / "init.sql")
    assert (done.code, done.out, done.err) == (0, "", "")
    migrated = await make_database(postgres_versions)
    await apply(migrated, files.folder)
    found = await catalogue_of(bare)
    assert found.tables and found.fingerprint == (await catalogue_of(migrated)).fingerprint
    kept = "SELECT filename, checksum, position, history, fingerprint, compat FROM schema_versions ORDER BY filename"
    rows = "SELECT id, settings FROM config"
    assert await answers(bare, kept, rows) == await answers(migrated, kept, rows)
    await drop_database(migrated)


@pytest.mark.parametrize("postgres_versions", VERSIONS[:1], indirect=True, ids=lambda version: f"postgres{version}")
async def test_every_command_finds_a_database_that_is_up_to_date(files: Migrations, bare: str) -> None:
    assert (await psql(bare, files.folder / "init.sql")).code == 0
    mine = Migrations(files.folder, bare, files.scratch)
    for done in await asyncio.gather(*(mine.run(*command) for command in UP_TO_DATE)):
        assert done.code == 0, done
    assert (await mine.applied()).out.startswith("nothing to apply")


async def test_the_texts_are_filled_in_so_that_an_edit_can_be_shown(
    files: Migrations, new_database: MakeDatabase, postgres_server: str, tmp_path: Path
) -> None:
    bare = await new_database()
    shutil.copytree(files.folder, tmp_path, dirs_exist_ok=True)
    assert (await psql(bare, tmp_path / "init.sql")).code == 0
    await apply(bare, tmp_path)
    [missing] = await answers(bare, "SELECT filename FROM schema_versions WHERE sql IS NULL OR history IS NULL")
    assert missing == []
    edited = tmp_path / LIBRARY
    edited.write_text(edited.read_text().replace("size             bigint ", "size             numeric"))
    found = await status(bare, tmp_path)
    assert (
        found.code == 4 and "-    size             bigint" in found.text and "+    size             nume" in found.text
    )
    edited.write_text(edited.read_text().replace("size             numeric", "size             bigint "))
    mine = Migrations(tmp_path, bare, postgres_server)
    mine.add("year", "ALTER TABLE songs ADD COLUMN year int;", stamp=1_900_000_000)
    assert (await status(bare, tmp_path)).code == 3
    await apply(bare, tmp_path)
    assert (await mine.run("verify")).code == 0


async def test_a_second_run_changes_nothing(files: Migrations, bare: str) -> None:
    assert (await psql(bare, files.folder / "init.sql")).code == 0
    await answers(
        bare, "UPDATE config SET settings = '{\"kept\": true}'", "DELETE FROM schema_versions WHERE position = 2"
    )
    count = "SELECT count(*), sum(xmin::text::bigint) FROM schema_versions"
    before, rows = await catalogue_of(bare), await answers(bare, "SELECT id, settings FROM config", count)
    stops = await psql(bare, files.folder / "init.sql")
    goes_on = await psql(bare, files.folder / "init.sql", "-v", "ON_ERROR_STOP=0")
    assert stops.code == 3 and "already exists" in stops.err and "already exists" in goes_on.err
    assert (await catalogue_of(bare)).entries == before.entries
    assert await answers(bare, "SELECT id, settings FROM config", count) == rows


async def test_the_owner_of_a_database_needs_to_be_nobody_else(rows: Path, bare: str) -> None:
    """Neither a superuser, nor the role that compiled; and settings of the database do not matter."""
    role, name = f"owner_{secrets.token_hex(4)}", urlsplit(bare).path.lstrip("/")
    connection = await asyncpg.connect(bare)
    await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; ALTER DATABASE {name} OWNER TO {role}")
    for setting in ("standard_conforming_strings = off", "DateStyle = 'SQL, MDY'", "search_path = 'nowhere'"):
        await connection.execute(f"ALTER DATABASE {name} SET {setting}")
    await connection.close()
    parts = urlsplit(bare)
    owner = urlunsplit(parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}"))
    try:
        done = await psql(owner, rows)
        assert (done.code, done.err) == (0, "")
        counts = "SELECT (SELECT count(*) FROM public.zebras), (SELECT count(*) FROM public.tagged)"
        assert await answers(owner, counts) == [[(4, 2)]]
    finally:
        connection = await asyncpg.connect(bare)
        await connection.execute(
            f"REASSIGN OWNED BY {role} TO CURRENT_USER; ALTER DATABASE {name} OWNER TO CURRENT_USER"
        )
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await connection.close()


@pytest.mark.parametrize("postgres_versions", VERSIONS[:1], indirect=True, ids=lambda version: f"postgres{version}")
async def test_an_extension_that_a_server_lacks_is_said_and_nothing_is_made(
    bare: str, postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
    if [await answers(dsn, available) for dsn in (postgres_server, bare)] != [[[(1,)]], [[(0,)]]]:
        pytest.skip("no extension that the newest server has and the oldest lacks")
    monkeypatch.setenv("PATH", PATH)
    files = Migrations(tmp_path, postgres_server)
    files.add("vectors", "CREATE TABLE a (id int);\nCREATE EXTENSION vector;\nCREATE TABLE b (at vector(3));\n")
    assert (await compiled(tmp_path, postgres_server)).code == 0
    done = await psql(bare, tmp_path / "init.sql")
    assert done.code == 3 and "vector" in done.err
    assert (await catalogue_of(bare)).entries == ()
