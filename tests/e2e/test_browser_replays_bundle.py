"""A browser replays the bundle into its own Postgres (PGlite): after every migration it has the schema of the server,
and can tell so by itself."""

import shutil
from pathlib import Path

import pytest

from medley.gate.bundle import Bundle
from services.migrator import migrations
from services.migrator.scratch.compile import compile_
from services.migrator.scratch.rehearsal import on_server
from tests.integration.migrator.init_files import PATH, RICH, WRITTEN
from tests.support.migrator import Migrations
from tests.support.pglite import pglite
from tests.support.servers import NotHere, nothing

SCHEMA = Path(__file__).resolve().parents[2] / "schema"
IDIOMS = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'colour') THEN
        CREATE TYPE colour AS ENUM ('red', 'green');
    END IF;
    EXECUTE 'CREATE TABLE painted (id int PRIMARY KEY, colour colour NOT NULL DEFAULT ' || quote_literal('red') || ')';
END $$;
ALTER TYPE colour ADD VALUE IF NOT EXISTS 'blue' BEFORE 'green';
CREATE UNIQUE INDEX painted_red ON painted (id) WHERE colour = 'red';
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO painted (id) VALUES (1) ON CONFLICT DO NOTHING;
"""
WHOLE = {
    "rich": RICH,
    "written": WRITTEN,
    "idioms": IDIOMS,
    "prose": "-- Nothing.\n",
    "alone": "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY painted_colour ON painted (colour);\n",
}
PARTLY = {
    "roles": "-- server-only\nDO $$ BEGIN\n  CREATE ROLE browser_reader;\nEXCEPTION WHEN duplicate_object THEN NULL;\n"
    "END $$;\nCREATE TABLE trail (id int PRIMARY KEY);\n",
    "albums": "-- :electric:txn:start\nCREATE TABLE albums (id int PRIMARY KEY, title text NOT NULL);\n"
    "CREATE TABLE likes (album int REFERENCES albums DEFERRABLE INITIALLY DEFERRED);\n"
    "INSERT INTO likes VALUES (1);\nINSERT INTO albums VALUES (1, 'one');\n-- :electric:txn:end\n"
    "GRANT SELECT ON albums TO browser_reader;\nCREATE INDEX albums_title ON albums (title);\n",
    "view": "CREATE VIEW titles AS SELECT title FROM albums;\n",
}


async def compiled(files: Migrations) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        made = await compile_(migrations.read(files.folder), files.dsn)
    assert made.bundle is not None, made.faults
    return made.bundle


async def replayed(bundle: Bundle) -> list[str]:
    """The fingerprint that a browser computes after each migration."""
    *settings, query = bundle.fingerprint_sql
    statements = ["CREATE TEMPORARY TABLE seen (place serial, fingerprint text)"]
    for migration in bundle.migrations:
        whole = migration.statements if not migration.transaction else ("BEGIN", *migration.statements, "COMMIT")
        statements += [*whole, *settings, f"INSERT INTO pg_temp.seen (fingerprint) {query}", "RESET ALL"]
    try:
        rows = await pglite(statements, "SELECT fingerprint FROM seen ORDER BY place")
    except NotHere as error:
        nothing([str(error)])
    return [row["fingerprint"] for row in rows]


@pytest.fixture
def files(postgres_server: str, tmp_path: Path) -> Migrations:
    """Our own migrations, further ones for everybody, and then those of which a browser gets a part."""
    for path in SCHEMA.glob("[0-9]*.sql"):
        shutil.copy(path, tmp_path)
    files = Migrations(tmp_path, postgres_server)
    for stamp, (words, text) in enumerate({**WHOLE, **PARTLY}.items(), 1_900_000_000):
        files.add(words, text, stamp)
    return files


@pytest.mark.node
async def test_after_each_migration_it_has_the_schema_of_the_server(files: Migrations, postgres_server: str) -> None:
    bundle = await compiled(files)
    steps = await on_server(postgres_server)(migrations.read(files.folder)[: -len(PARTLY)])
    made, seen = [step.catalogue.fingerprint for step in steps], await replayed(bundle)
    assert len(set(made)) == len(made) - 1  # the prose makes nothing
    assert seen[: len(made)] == made
    assert seen[-1] == bundle.replica_fingerprint != bundle.fingerprint
    assert "public.albums" in {table.name for table in bundle.tables}
    assert "public.trail" not in {table.name for table in bundle.tables}
