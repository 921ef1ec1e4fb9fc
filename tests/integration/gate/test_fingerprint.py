"""The fingerprint is what the schema is: the same on every server that holds it, and another as soon as it changes."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from medley.cli.embedded.wheels import postgres_bin
from medley.gate import catalogue, objects
from medley.gate.judge import difference
from medley.gate.objects import Catalogue
from services.migrator import migrations
from tests.integration.gate.mutations import MUTATIONS, NEUTRAL
from tests.support.databases import drop_database, make_database
from tests.support.pglite import pglite
from tests.support.servers import NotHere, nothing

ROOT = Path(__file__).resolve().parents[3]
RICH = Path(__file__).with_name("rich_schema.sql").read_text(encoding="utf-8")
SCHEMA = [RICH, *(migration.text for migration in migrations.read(ROOT / "schema"))]
# Whatever a session may be set to that changes how Postgres prints things.
ELSEWHERE = {
    "search_path": "shop, public",
    "DateStyle": "SQL, MDY",
    "IntervalStyle": "postgres_verbose",
    "TimeZone": "Asia/Kathmandu",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
}


@pytest_asyncio.fixture(scope="module")
async def browser() -> Catalogue:
    """The catalogue of the same schema in PGlite."""
    settings = [f"SET {name} = '{value}'" for name, value in catalogue.SESSION.items()]
    try:
        rows = await pglite([*SCHEMA, *settings], catalogue.SQL["catalogue"])
    except NotHere as error:
        nothing([str(error)])
    return objects.from_rows(row.values() for row in rows)


@pytest_asyncio.fixture(scope="module")
async def dsn(postgres_versions: str) -> AsyncIterator[str]:
    """A database with that schema, on each version."""
    made = await make_database(postgres_versions)
    connection = await asyncpg.connect(made)
    for text in SCHEMA:
        await connection.execute(text)
    await connection.close()
    yield made
    await drop_database(made)


@pytest_asyncio.fixture(scope="module")
async def rich(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


def assert_same(meant: Catalogue, found: Catalogue) -> None:
    assert difference(meant, found) == []
    assert meant.fingerprint == found.fingerprint


async def test_every_version_and_the_browser_agree(rich: asyncpg.Connection, browser: Catalogue) -> None:
    found = await catalogue.read(rich)
    assert len(found.entries) > 400
    assert len(found.by_key) == len(found.entries), "two objects have one name"
    assert_same(browser, found)


async def test_a_restored_dump_is_the_same_schema(rich: asyncpg.Connection, dsn: str) -> None:
    other = await make_database(dsn)
    try:
        await _copy(dsn, other)
        connection = await asyncpg.connect(other)
        assert_same(await catalogue.read(rich), await catalogue.read(connection))
        await connection.close()
    finally:
        await drop_database(other)


async def _copy(source: str, target: str) -> None:
    dump = await _run("pg_dump", "--schema-only", "--no-owner", "--no-publications", source)
    # A newer pg_dump sets what an older server does not know.
    text = b"\n".join(line for line in dump.split(b"\n") if not line.startswith(b"SET transaction_timeout"))
    await _run("psql", "-qX", "-v", "ON_ERROR_STOP=1", target, stdin=text)


async def _run(program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    path = postgres_bin() / program
    process = await asyncio.create_subprocess_exec(path, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate(stdin)
    assert process.returncode == 0, errors.decode()
    return output


async def test_any_session_sees_the_same(rich: asyncpg.Connection, dsn: str) -> None:
    connection = await asyncpg.connect(dsn, server_settings=ELSEWHERE)
    try:
        meant = await catalogue.read(rich)
        assert_same(meant, await catalogue.read(connection))
        async with connection.transaction():
            assert_same(meant, await catalogue.read(connection))
            for name, value in ELSEWHERE.items():
                assert await connection.fetchval("SELECT current_setting($1)", name) == value, "left changed"
    finally:
        await connection.close()


async def test_a_role_without_any_right_sees_the_same(rich: asyncpg.Connection, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE ROLE fingerprint_reader; SET ROLE fingerprint_reader")
        assert_same(await catalogue.read(rich), await catalogue.read(connection))
    finally:
        await connection.execute("RESET ROLE; DROP ROLE fingerprint_reader")
        await connection.close()


async def test_the_order_of_making_does_not_count(postgres_versions: str) -> None:
    found = []
    for statements in (
        [
            "CREATE TABLE a (x int PRIMARY KEY, y text NOT NULL DEFAULT 'y', z int CHECK (z > 0))",
            "CREATE INDEX a_y ON a (y); CREATE INDEX a_z ON a (z); CREATE TABLE b (x int REFERENCES a)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE e AS ENUM ('p', 'q')",
        ],
        [
            "CREATE TYPE e AS ENUM ('q'); ALTER TYPE e ADD VALUE 'p' BEFORE 'q'; CREATE TABLE b (x int)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE a (gone text, y text, z int)",
            "CREATE INDEX a_z ON a (z); ALTER TABLE a DROP gone, ADD x int PRIMARY KEY; CREATE INDEX a_y ON a (y)",
            "ALTER TABLE b ADD FOREIGN KEY (x) REFERENCES a; ALTER TABLE a ADD CHECK (z > 0)",
            "ALTER TABLE a ALTER y SET DEFAULT 'y', ALTER y SET NOT NULL",
        ],
    ):
        dsn = await make_database(postgres_versions)
        connection = await asyncpg.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        found.append(await catalogue.read(connection))
        await connection.close()
        await drop_database(dsn)
    assert_same(*found)


@pytest_asyncio.fixture(scope="module")
async def unchanged(rich: asyncpg.Connection) -> Catalogue:
    return await catalogue.read(rich)


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_change_is_seen_and_named(name: str, rich: asyncpg.Connection, unchanged: Catalogue) -> None:
    statement, said = MUTATIONS[name]
    transaction = rich.transaction()
    await transaction.start()
    try:
        await rich.execute(statement)
        after = await catalogue.read(rich)
    finally:
        await transaction.rollback()
    assert after.fingerprint != unchanged.fingerprint
    lines = difference(unchanged, after)
    assert any(said in line for line in lines), lines


@pytest.mark.parametrize("name", NEUTRAL)
async def test_what_changes_no_meaning_is_not_seen(name: str, rich: asyncpg.Connection, unchanged: Catalogue) -> None:
    for statement in NEUTRAL[name]:
        await rich.execute(statement)
    assert_same(unchanged, await catalogue.read(rich))
