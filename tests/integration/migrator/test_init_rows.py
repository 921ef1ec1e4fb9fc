"""`init.sql` of a rich schema, on every version: the same schema, the same rows, and the next number is a new one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.migrator.commands.on_files import compiled
from tests.integration.migrator.init_files import PATH, RICH, WRITTEN, answers, apply, catalogue_of, psql
from tests.support.databases import drop_database, make_database
from tests.support.migrator import Migrations

# What a migration let the database choose.
CHOSEN = {"bees": ("at",), "everything": ("id",), "parcels": ("id",), "labels": ("parcel",)}


@pytest_asyncio.fixture(scope="module")
async def files(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Migrations:
    """One of everything that a migration may make, and rows in it; compiled."""
    files = Migrations(tmp_path_factory.mktemp("rich"), postgres_server)
    files.add("rich", RICH)
    files.add("written", WRITTEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        assert (await compiled(files.folder, postgres_server)).code == 0
    return files


@pytest_asyncio.fixture(scope="module")
async def both(files: Migrations, postgres_versions: str) -> AsyncIterator[tuple[str, str]]:
    """A database that was migrated, and one of `init.sql`, on one server."""
    migrated, made = await make_database(postgres_versions), await make_database(postgres_versions)
    await apply(migrated, files.folder)
    done = await psql(made, files.folder / "init.sql")
    assert (done.code, done.out, done.err) == (0, "", "")
    yield migrated, made
    await drop_database(migrated)
    await drop_database(made)


async def test_it_is_the_schema_that_the_migrations_make(both: tuple[str, str]) -> None:
    migrated, made = [await catalogue_of(dsn) for dsn in both]
    assert {entry.line for entry in migrated.entries} == {entry.line for entry in made.entries}
    assert migrated.fingerprint == made.fingerprint


async def test_every_row_is_there_and_only_what_the_database_chose_is_another(both: tuple[str, str]) -> None:
    names = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace"
    [tables] = await answers(both[0], f"{names} AND relname NOT LIKE 'schema_%' ORDER BY 1")
    assert len(tables) > 12
    queries = [
        f"SELECT to_jsonb(t) - '{{{','.join(CHOSEN.get(str(name), ()))}}}'::text[] FROM ONLY \"{name}\" AS t ORDER BY 1"
        for (name,) in tables
    ]
    migrated, made = [await answers(dsn, *queries) for dsn in both]
    assert dict(zip(tables, migrated, strict=True)) == dict(zip(tables, made, strict=True))
    queries = [
        "SELECT label, note FROM parcels LEFT JOIN labels ON parcel = id ORDER BY label",
        "SELECT id, at FROM bees WHERE at < '2021-01-01'",
        'SELECT who = CURRENT_USER, day = CURRENT_DATE FROM "Über Tabelle"',
        "SELECT id FROM everything WHERE id::text LIKE '0000%' ORDER BY id",
    ]
    assert await answers(both[0], *queries) == await answers(both[1], *queries)


async def test_the_next_number_is_a_new_one(both: tuple[str, str]) -> None:
    queries = [
        "INSERT INTO ants (zebra) VALUES (9) RETURNING id",
        'INSERT INTO bees ("Ant") VALUES (1) RETURNING id',
        "SELECT nextval('tickets'), nextval('begun'), nextval('shop.ticket')",
    ]
    assert await answers(both[0], *queries) == await answers(both[1], *queries) == [[(4,)], [(5,)], [(102, 50, 10)]]


async def test_compiling_again_writes_nothing_whatever_the_server(
    files: Migrations, postgres_versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [[(older,)]] = await answers(postgres_versions, "SELECT current_setting('server_version_num')::int < 160000")
    if older:  # which writes views in other words
        return
    monkeypatch.setenv("PATH", PATH)
    report = await compiled(files.folder, postgres_versions, check=True)
    assert report.code == 0, report.text
