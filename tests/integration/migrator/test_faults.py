"""Every fault of a bad migration is told at once, each with file, line and column, by Postgres's own reading."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from medley.sql.lexer import lex, split
from services.migrator.scratch.check import find_faults
from services.migrator.scratch.database import scratch_database
from services.migrator.sql.directives import read_script


@pytest_asyncio.fixture
async def scratch(postgres_server: str) -> AsyncIterator[asyncpg.Connection]:
    async with scratch_database(postgres_server) as dsn:
        connection = await asyncpg.connect(dsn)
        yield connection
        await connection.close()


async def found(scratch: asyncpg.Connection, *texts: str) -> list[str]:
    scripts = [read_script(f"{number}.sql", text) for number, text in enumerate(texts, 1)]
    return [str(fault) for fault in await find_faults(scratch, scripts)]


async def test_three_faults_of_one_file_are_three_lines(scratch: asyncpg.Connection) -> None:
    text = """\
-- The notes' own example, in spirit.
CREATE TABLE songs (
    id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title  text NOT NULL
    artist text,
    album  text,
);
CREATE INDEX songs_rating ON songs (rating);
CREATE INDEX songs_artist ON songs (artist);
"""
    assert await found(scratch, text) == [
        '1.sql:5:5: syntax error; is a comma missing before it?, near "artist"',
        '1.sql:7:1: syntax error; a comma too many before it, near ")"',
        '1.sql:8:37: column "rating" does not exist, near "rating"',
    ]


async def test_what_is_right_is_applied_and_what_is_wrong_is_not(scratch: asyncpg.Connection) -> None:
    assert (
        await found(scratch, "CREATE TABLE a (id int PRIMARY KEY);", "CREATE TABLE b (id int REFERENCES a (id));") == []
    )
    assert await found(scratch, "CREATE TABLE c (); CREATE TABLE a (); CREATE TABLE d ();") == [
        '1.sql:1:33: relation "a" already exists, near "a"'
    ]
    rows = await scratch.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in rows} == {"a", "b", "c", "d"}


OURS = [path.read_text() for path in sorted(Path("schema").glob("[0-9]*.sql"))]
TABLE = "CREATE TABLE songs (id int PRIMARY KEY, title text);\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CREATE INDEX rating ON songs (rating);", '2:31: column "rating" does not exist, near "rating"'),
        ("CREATE TABLE songs (id int);", '2:14: relation "songs" already exists, near "songs"'),
        ("CREATE INDEX songs_pkey ON songs (id);", '2:14: relation "songs_pkey" already exists, near "songs_pkey"'),
        (
            "ALTER TABLE songs ADD COLUMN title text;",
            '2:30: column "title" of relation "songs" already exists, near "title"',
        ),
        ("CREATE TABLE t (x media_kind);", '2:19: type "media_kind" does not exist, near "media_kind"'),
        ("CREATE TABLE t (nope int REFERENCES nope (id));", '2:37: relation "nope" does not exist, near "nope"'),
        (
            "CREATE TABLE t (id int, id text, CHECK (id > '1'));",
            '2:25: column "id" specified more than once, near "id"',
        ),
        (
            "CREATE TABLE t (id int REFERENCES songs (title));",
            '2:35: there is no unique constraint matching given keys for referenced table "songs", near "songs"',
        ),
        (
            "ALTER TABLE songs DROP COLUMN IF EXISTS x, DROP COLUMN y;",
            '2:56: column "y" of relation "songs" does not exist, near "y"',
        ),
        (
            'CREATE VIEW v AS SELECT\n  "Title" FROM songs;',
            '3:3: column "Title" does not exist (Perhaps you meant to reference the column "songs.title"), '
            'near ""Title""',
        ),
        ("SELECT 'é🎵', nope;", '2:14: column "nope" does not exist, near "nope"'),
        ("GRANT SELECT ON songs TO nobody_here;", '2:26: role "nobody_here" does not exist, near "nobody_here"'),
        (
            "INSERT INTO songs (id, title) VALUES (1, 'a'), (1, 'b');",
            '2:1: duplicate key value violates unique constraint "songs_pkey" '
            '(Key (id)=(1) already exists), near "INSERT"',
        ),
        ("CREATE TABLE t (\n  a int NOTT NULL\n);", '3:9: syntax error, near "NOTT"'),
        ("CREATE TABLE t (\n  a int PRIMRY KEY\n);", '3:9: syntax error, near "PRIMRY"'),
        (
            "CREATE TABLE t (a int, b int UNIQUE (a));",
            '2:30: syntax error; is a comma missing before it?, near "UNIQUE"',
        ),
        ("CREATE TABLE t (a int,, b int);", '2:23: syntax error; a comma too many before it, near ","'),
        ("CREATE TABLE t (a int;", '2:22: syntax error; is a ) missing?, near ";"'),
        ("CREATE TABLE t (a int));", '2:23: syntax error; a ) too many, near ")"'),
        ("SELECT 1 +", "2:11: syntax error, at the end of the file"),
        ("CRAETE TABLE t ();", '2:1: syntax error, near "CRAETE"'),
        ("DO $$\nBEGIN\n  PERFRM 1;\nEND $$;", '4:3: syntax error, near "PERFRM"'),
        (
            "DO $$\nBEGIN\n  PERFORM 1;\n  ALTER TABLE songs ADD title text;\nEND $$;",
            '5:25: column "title" of relation "songs" already exists, near "title"',
        ),
        (
            "DO $do$ DECLARE n int; BEGIN\n  SELECT x INTO n FROM songs;\nEND $do$;",
            '3:10: column "x" does not exist, near "x"',
        ),
        (
            "DO $$\nBEGIN\n  EXECUTE 'CREATE INDEX i ON songs (rating)';\nEND $$;",
            '4:37: column "rating" does not exist, near "rating"',
        ),
        ("DO $$\nBEGIN\n  RAISE EXCEPTION 'no';\nEND $$;", '4:3: no, near "RAISE"'),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETRN 1;\nEND $$;",
            '4:3: syntax error, near "RETRN"',
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT x FROM songs $$;",
            '3:10: column "x" does not exist, near "x"',
        ),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC\n  SELECT 1;\n  SELECT x FROM songs; END;",
            '4:10: column "x" does not exist, near "x"',
        ),
        (
            "ALTER TABLE songs ADD UNIQUE (title) DEFERRABLE INITIALLY DEFERRED;\n"
            "INSERT INTO songs VALUES (1, 'a'), (2, 'a');",
            "3:1: at the end of the transaction: duplicate key value violates unique "
            'constraint "songs_title_key" (Key (title)=(a) already exists), near "INSERT"',
        ),
    ],
)
async def test_a_fault_has_its_place(scratch: asyncpg.Connection, text: str, fault: str) -> None:
    assert await found(scratch, TABLE + text) == [f"1.sql:{fault}"]


async def test_one_fault_of_a_table_does_not_hide_the_next(scratch: asyncpg.Connection) -> None:
    text = """\
CREATE TABLE playlists (
    id uuid PRIMARY KEY
    kind media_kind,
    song uuid REFERENCES songs (id) NOT NULL,
    title varchar(200) NOT NULL DEFAULT nothing(),
    UNIQUE (name),
    created_at timestamptz
    updated_at timestamptz
    CONSTRAINT titles UNIQUE (title),
)
CREATE INDEX playlists_rating ON playlists (rating);
CREATE INDEX playlists_title ON playlists (title);
"""
    assert [fault.split(": ")[0] + " " + fault.split("near ")[1] for fault in await found(scratch, text)] == [
        '1.sql:3:5 "kind"',
        '1.sql:3:10 "media_kind"',
        '1.sql:4:26 "songs"',
        '1.sql:5:41 "nothing"',
        '1.sql:6:13 "name"',
        '1.sql:8:5 "updated_at"',
        '1.sql:9:5 "CONSTRAINT"',
        '1.sql:10:1 ")"',
        '1.sql:11:1 "CREATE"',
        '1.sql:11:45 "rating"',
    ]


async def test_what_only_follows_from_a_fault_is_not_told(scratch: asyncpg.Connection) -> None:
    faults = await found(
        scratch,
        "CREATE TYPE kind AS ENUM ('a' 'b);\n",
        "CREATE TABEL songs (id int PRIMARY KEY);\nCREATE TYPE mood AS ENUM (1);",
        "CREATE INDEX i ON songs (id);\nALTER TABLE songs ADD COLUMN mood mood;\nDROP INDEX i;\n"
        "CREATE TABLE t (m mood);",
        "DO $$ BEGIN\n CREATE TABLE d (id int); PERFORM 1 / 0;\nEND $$;\nINSERT INTO d (id) VALUES (1);\nSELECT other;",
    )
    assert [fault.split(": ")[0] for fault in faults] == [
        "1.sql:1:31",
        "2.sql:1:8",
        "2.sql:2:27",
        "4.sql:2:27",
        "4.sql:5:8",
    ]


async def test_a_table_that_only_follows_from_a_fault_still_shows_its_own(scratch: asyncpg.Connection) -> None:
    text = "CREATE TABEL a (id int);\nCREATE TABLE b (a int REFERENCES a, x nope, y int);\nCREATE INDEX ON b (z);"
    assert [fault.split(": ")[0] for fault in await found(scratch, text)] == ["1.sql:1:8", "1.sql:2:39", "1.sql:3:20"]


async def test_every_fault_of_every_file_in_order(scratch: asyncpg.Connection) -> None:
    faults = await found(
        scratch,
        "CREATE TABLE a (id int,);\n-- migrate: up\nCREATE INDEX CONCURRENTLY i ON a (id);\nSELECT nope;",
        "COMMIT;\nSELECT 1 FROM a;",
        "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (nope);",
        "SET search_path TO nowhere;",
        "SELECT 1 FROM a;",
    )
    assert [fault.split(": ")[0] for fault in faults] == [
        "1.sql:1:24", "1.sql:2:1", "1.sql:3:1", "1.sql:4:8", "2.sql:1:1", "3.sql:2:35",
    ]  # fmt: skip


async def test_what_concerns_the_whole_server_is_read_and_not_run(scratch: asyncpg.Connection) -> None:
    name = "medley_scratch_never"
    faults = await found(
        scratch,
        f"CREATE ROLE {name};\nCREATE TABLE a ();\nGRANT SELECT ON a TO {name};\nGRANT {name} TO postgres;",
        f"-- migrate: no-transaction\nCREATE DATABASE {name};",
        f"ALTER ROLE {name} SETT x = 1;",
    )
    assert [fault.split(": ")[0] for fault in faults] == ["3.sql:1:33"]
    assert await scratch.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", name) == 0
    assert await scratch.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name) == 0


async def test_files_without_a_transaction_are_run_without_one(scratch: asyncpg.Connection) -> None:
    text = "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY i ON songs (title);"
    assert await found(scratch, TABLE, text, "-- migrate: no-transaction\nVACUUM songs;") == []
    assert await scratch.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")


async def test_our_own_migrations_have_no_fault_and_are_split_as_postgres_splits_them(
    scratch: asyncpg.Connection,
) -> None:
    assert await found(scratch, *OURS) == []
    async with scratch.transaction():
        for text in OURS:
            at = 0
            for statement in split(text):
                # Parsed as a prepared statement, which Postgres refuses unless it is exactly one.
                await scratch.prepare(statement.text)
                assert all(token.kind == "comment" for token in lex(text[at : statement.offset]))
                at = statement.end
            assert all(token.kind == "comment" for token in lex(text[at:]))


async def test_many_small_files_take_seconds(scratch: asyncpg.Connection) -> None:
    texts = [f"CREATE TABLE t{n} (id int PRIMARY KEY, a text);\nCREATE INDEX ON t{n} (a);" for n in range(200)]
    began = time.perf_counter()
    assert await found(scratch, *texts, "SELECT nope;") == ['201.sql:1:8: column "nope" does not exist, near "nope"']
    assert time.perf_counter() - began < 60
