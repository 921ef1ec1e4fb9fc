"""`medley migrate compile`: all faults of bad files with their places; of good ones the three files, once."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from medley.gate import bundle
from medley.runtime.errors import ConfigurationError, Permanent
from services.migrator.commands.on_files import compiled
from services.migrator.commands.report import Report
from tests.integration.migrator.init_files import PATH
from tests.support.migrator import Migrations

WRITTEN = ("bundle.json", "bundle.schema.json", "init.sql")
SONGS = "CREATE TABLE songs (id int PRIMARY KEY, title text NOT NULL);\n"
BAD = {
    "library": """\
-- The notes' own example, in spirit.
CREATE TABLE songs (
    id     uuid PRIMARY KEY,
    title  text NOT NULL
    artist text,
    album  text,
);
CREATE INDEX songs_rating ON songs (rating);
""",
    "words": 'CREATE TABEL odd (id int);\nCREATE TABLE "Größe" (id int);\n',
    "fine": "CREATE TABLE albums (id int PRIMARY KEY);\n",
    "again": "CREATE TABLE albums (id int);\n\n    ALTER TABLE songs ADD COLUMN album text;\n"
    "DO $$\nBEGIN\n  PERFORM nope();\nEND $$;",
}
FAULTS = [
    '1600000010_library.sql:5:5: syntax error; is a comma missing before it?, near "artist"',
    '1600000010_library.sql:7:1: syntax error; a comma too many before it, near ")"',
    '1600000010_library.sql:8:37: column "rating" does not exist, near "rating"',
    '1600000020_words.sql:1:8: syntax error, near "TABEL"',
    '1600000040_again.sql:1:14: relation "albums" already exists, near "albums"',
    '1600000040_again.sql:3:34: column "album" of relation "songs" already exists, near "album"',
    "1600000040_again.sql:6:11: function nope() does not exist (No function matches the given name and argument types. "
    'You might need to add explicit type casts), near "nope"',
]


@pytest.fixture
def files(tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> Migrations:
    monkeypatch.setenv("PATH", PATH)
    return Migrations(tmp_path, postgres_server)


@pytest_asyncio.fixture(autouse=True)
async def nothing_is_left_on_the_server(postgres_server: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(postgres_server)
    query = "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles ORDER BY 1"
    before = await connection.fetch(query)
    yield
    assert await connection.fetch(query) == before
    await connection.close()


async def compile_(files: Migrations, check: bool = False) -> Report:
    return await compiled(files.folder, files.dsn, check)


def texts(files: Migrations) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files.folder.iterdir() if path.name in WRITTEN}


async def test_every_fault_is_told_in_order_and_nothing_is_written(files: Migrations) -> None:
    for words, text in BAD.items():
        files.add(words, text)
    done, as_json, check = [await files.run("compile", *options) for options in ((), ("--json",), ("--check",))]
    assert (done.code, done.out.splitlines(), done.err) == (1, FAULTS, "")
    assert as_json.code == 1 and list(as_json.value) == ["faults"]
    shown = [f'{f["file"]}:{f["line"]}:{f["column"]}: {f["what"]}, near "{f["near"]}"' for f in as_json.value["faults"]]
    assert shown == FAULTS
    assert (check.code, check.out) == (1, done.out)
    assert texts(files) == {}


async def test_three_files_are_written_once_and_stay_as_they_are(files: Migrations) -> None:
    files.add(
        "songs", SONGS + "INSERT INTO songs VALUES (1, 'one');\nCREATE TABLE at (at timestamptz DEFAULT now());\n"
    )
    files.add("at", "INSERT INTO at DEFAULT VALUES;")
    done = await files.run("compile")
    assert done.code == 0 and done.out.startswith(f"wrote {', '.join(WRITTEN)} into {files.folder}: v1:")
    first, times = texts(files), {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    assert sorted(first) == sorted(WRITTEN)
    made = bundle.load(files.folder / "bundle.json")
    assert first["bundle.json"].decode() == made.as_json()
    assert first["bundle.schema.json"].decode() == bundle.json_schema()
    again = await compile_(files)
    expected = {"faults": [], "fingerprint": made.fingerprint, "history": made.history, "written": []}
    assert (again.code, again.value) == (0, expected)
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == times
    assert (await compile_(files, check=True)).code == 0


async def test_check_names_what_is_stale_or_missing(files: Migrations) -> None:
    files.add("songs", SONGS)
    assert (await compile_(files)).code == 0
    before = texts(files)
    (files.folder / "init.sql").unlink()
    (files.folder / "bundle.schema.json").write_bytes(b"\xff\n")
    done = await compile_(files, check=True)
    assert done.code == 1 and done.value["differing"] == list(WRITTEN[1:])
    assert f": {', '.join(WRITTEN[1:])} in {files.folder}; run `medley migrate compile`" in done.text
    assert not (files.folder / "init.sql").exists()
    assert (await compile_(files)).code == 0 and texts(files) == before


async def test_a_file_that_cannot_be_written_is_a_sentence(files: Migrations) -> None:
    files.add("songs", SONGS)
    (files.folder / "init.sql").mkdir()
    with pytest.raises(ConfigurationError, match=f"cannot write {files.folder / 'init.sql'}: .*use --check"):
        await compile_(files)
    assert not list(files.folder.glob(".*"))
    with pytest.raises(ConfigurationError, match="nowhere; set SCHEMA_DIR"):
        await compiled(files.folder / "nowhere", files.dsn)


async def test_without_pg_dump_it_says_what_to_install(files: Migrations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigurationError, match=r"no pg_dump on PATH.*install Postgres's client programs"):
        await compile_(files)


async def test_an_empty_folder_and_a_file_of_comments_are_fine(files: Migrations) -> None:
    assert (await compile_(files)).code == 0
    empty = json.loads(texts(files)["bundle.json"])
    assert empty["migrations"] == empty["tables"] == [] and empty["history"] == ""
    assert b"CREATE TABLE public.schema_versions" in texts(files)["init.sql"]
    files.add("prose", "-- Nothing yet.\n/* Really. */\n;\n")
    assert (await compile_(files)).code == 0
    [prose] = json.loads(texts(files)["bundle.json"])["migrations"]
    assert prose["statements"] == []
    assert json.loads(texts(files)["bundle.json"])["fingerprint"] == empty["fingerprint"]


async def test_what_is_for_the_server_alone_stays_there(files: Migrations) -> None:
    files.add(
        "songs",
        "CREATE TABLE audit (id int);\n-- :electric:txn:start\n" + SONGS + "-- :electric:txn:end\n"
        "CREATE INDEX songs_title ON songs (title);\n",
    )
    files.add("server", "-- server-only\nCREATE TABLE secrets (id int);\nGRANT SELECT ON secrets TO pg_monitor;\n")
    files.add("index", "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY titles ON songs (title, id);\n")
    assert (await compile_(files)).code == 0
    made = bundle.load(files.folder / "bundle.json")
    replayed = [(each.transaction, each.statements) for each in made.migrations]
    index = ("CREATE INDEX CONCURRENTLY titles ON songs (title, id);",)
    assert replayed == [(True, (SONGS.strip(),)), (True, ()), (False, index)]
    assert made.replica_fingerprint != made.fingerprint
    assert [table.name for table in made.tables] == ["public.songs"]
    init = texts(files)["init.sql"].decode()
    assert "public.secrets" in init and "GRANT SELECT ON TABLE public.secrets TO pg_monitor;" in init


async def test_what_clients_cannot_run_alone_is_a_fault_with_its_place(files: Migrations) -> None:
    files.add(
        "songs",
        "CREATE TABLE blobs (id int PRIMARY KEY);\n-- :electric:txn:start\nCREATE TABLE songs (\n"
        "  id int PRIMARY KEY,\n  blob int REFERENCES blobs\n);\n-- :electric:txn:end\n",
    )
    files.add("more", "CREATE VIEW listed AS SELECT id FROM songs;\nALTER TABLE blobs ADD COLUMN size bigint;\n")
    done = await compile_(files)
    needed = "clients cannot run this without what is for the server alone"
    remedy = "move it out of the markers, or what it needs into them"
    assert done.code == 1 and done.text.splitlines() == [
        f'1600000010_songs.sql:5:23: {needed}: relation "blobs" does not exist; {remedy}, near "blobs"',
        f'1600000020_more.sql:2:13: {needed}: relation "blobs" does not exist; {remedy}, near "blobs"',
    ]


async def test_roles_of_the_server_are_used_and_not_left_behind(files: Migrations) -> None:
    """Made outright and in a block; `init.sql` makes those that are not there."""
    files.add(
        "roles",
        "-- server-only\nCREATE ROLE compile_reader NOLOGIN;\nGRANT pg_monitor TO compile_reader;\n"
        "DO $$\nBEGIN\n  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'compile_app') THEN\n"
        "    CREATE ROLE compile_app LOGIN;\n  END IF;\nEND $$;\n"
        "DO $$ BEGIN EXECUTE format('CREATE %s compile_odd', 'ROLE'); END $$;\n",
    )
    files.add("songs", SONGS)
    files.add(
        "rights",
        "-- server-only\nGRANT SELECT (id, title), REFERENCES ON songs TO compile_reader;\n"
        "ALTER TABLE songs OWNER TO compile_app, ENABLE ROW LEVEL SECURITY;\n"
        "CREATE POLICY readers ON songs TO compile_reader USING (id > 0);\n"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO compile_reader;\n",
    )
    done = await compile_(files)
    assert done.code == 0, done
    init = texts(files)["init.sql"].decode()
    assert "        CREATE ROLE compile_reader NOLOGIN;" in init and "        CREATE ROLE compile_app LOGIN;" in init
    assert "GRANT pg_monitor TO compile_reader;" in init
    assert "OWNER TO compile_app;" in init and "OWNER TO postgres" not in init
    assert "FOR ROLE CURRENT_USER IN SCHEMA public GRANT SELECT ON TABLES TO compile_reader" in init
    assert "does-not-apply" not in (await files.run("lint")).out
    connection = await asyncpg.connect(files.dsn)
    await connection.execute("CREATE ROLE compile_reader NOLOGIN")  # as on a server where this was applied
    try:
        assert (await compile_(files, check=True)).code == 0
    finally:
        await connection.execute("DROP ROLE compile_reader")
        await connection.close()


async def test_a_value_that_cannot_be_written_down_is_refused_with_its_remedy(files: Migrations) -> None:
    files.add("dice", "CREATE TABLE dice (id int, rolled text);\nINSERT INTO dice VALUES (1, random()::text);\n")
    with pytest.raises(Permanent, match=r"public\.dice\.rolled.* a DEFAULT of the column"):
        await compile_(files)
    files.add("dice_again", "ALTER TABLE dice ALTER rolled SET DEFAULT random()::text;\n")
    assert (await compile_(files)).code == 0 and b"('1', DEFAULT);" in texts(files)["init.sql"]


async def test_what_a_file_makes_for_its_session_is_gone_after_it(files: Migrations) -> None:
    files.add("draft", "CREATE TEMP TABLE draft (id int);\nSET search_path = pg_catalog;\n")
    files.add("use", "CREATE TABLE used AS SELECT id FROM draft;\n")
    done = await compile_(files)
    assert done.code == 1
    assert done.text == '1600000020_use.sql:1:37: relation "draft" does not exist, near "draft"'
