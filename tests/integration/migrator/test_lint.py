"""Locks on existing tables, seen by what a migration does and not by how it is written."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from services.migrator.lint.findings import Finding
from services.migrator.lint.locks import find_locks
from services.migrator.scratch.database import scratch_database
from services.migrator.sql.directives import read_script

OURS = [path.read_text() for path in sorted(Path("schema").glob("[0-9]*.sql"))]
BEFORE = """
CREATE TABLE p (id int PRIMARY KEY, a text, b varchar(10) CHECK (b <> ''), n int, ts timestamptz);
CREATE TABLE c (id int PRIMARY KEY, p_id int, q_id int REFERENCES p);
CREATE UNIQUE INDEX pn ON p (n);
CREATE INDEX pb ON p (b);
ALTER TABLE p ADD CONSTRAINT later CHECK (n > 0) NOT VALID, ADD CONSTRAINT filled CHECK (a IS NOT NULL);
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (1) TO (2);
CREATE MATERIALIZED VIEW mv AS SELECT id FROM p;
CREATE UNIQUE INDEX ON mv (id);
"""


@pytest_asyncio.fixture
async def scratch(postgres_server: str) -> AsyncIterator[asyncpg.Connection]:
    async with scratch_database(postgres_server) as dsn:
        connection = await asyncpg.connect(dsn)
        yield connection
        await connection.close()


async def found(scratch: asyncpg.Connection, *texts: str) -> list[Finding]:
    return await find_locks(scratch, [read_script(f"{n}.sql", text) for n, text in enumerate(texts, 1)])


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("ALTER TABLE p ADD COLUMN x uuid DEFAULT gen_random_uuid();", "rewrites-table", "nobody reads or writes"),
        ("ALTER TABLE p ADD COLUMN x bigserial;", "rewrites-table", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE p ALTER COLUMN n TYPE bigint;", "rewrites-table", "files of p anew"),
        ("ALTER TABLE p ALTER COLUMN a TYPE varchar(5);", "rewrites-table", "files of p anew"),
        ("ALTER TABLE p ADD x int GENERATED ALWAYS AS (n + 1) STORED;", "rewrites-table", "files of p anew"),
        ("TRUNCATE p CASCADE;", "rewrites-table", "files of"),
        ("REFRESH MATERIALIZED VIEW mv;", "rewrites-table", "files of mv anew"),
        ("-- migrate: no-transaction\nVACUUM FULL p;", "rewrites-table", "nobody reads or writes"),
        ("CREATE INDEX x ON p (a);", "blocking-index", "under SHARE: nobody writes"),
        ("CREATE INDEX x ON parts (id);", "blocking-index", "index x on parts"),
        ("REINDEX INDEX pn;", "blocking-index", "index pn on p"),
        ("-- migrate: no-transaction\nCREATE INDEX x ON p (a);", "blocking-index", "nobody writes"),
        ("ALTER TABLE c ADD CONSTRAINT x UNIQUE (p_id);", "blocking-index", "USING INDEX"),
        ("ALTER TABLE p DROP CONSTRAINT p_pkey CASCADE, ADD PRIMARY KEY (n);", "blocking-index", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE p ADD CONSTRAINT x CHECK (n > 1);", "blocking-constraint", "NOT VALID"),
        ("ALTER TABLE p ADD COLUMN x int CHECK (x > 1);", "blocking-constraint", "constraint p_x_check"),
        (
            "ALTER TABLE c ADD CONSTRAINT x FOREIGN KEY (p_id) REFERENCES p;",
            "blocking-constraint",
            "SHARE ROW EXCLUSIVE",
        ),
        (
            "ALTER TABLE p ADD CONSTRAINT x CHECK (n > 1) NOT VALID;\nALTER TABLE p VALIDATE CONSTRAINT x;",
            "blocking-constraint",
            "ACCESS EXCLUSIVE",
        ),
        ("ALTER TABLE p ALTER COLUMN n SET NOT NULL;", "blocking-not-null", "CHECK (n IS NOT NULL) NOT VALID"),
        ("ALTER TABLE p ADD COLUMN x int NOT NULL;", "required-column", "fails on rows"),
    ],
)
async def test_work_on_an_existing_table_under_a_lock_is_found(
    scratch: asyncpg.Connection, text: str, rule: str, words: str
) -> None:
    findings = await found(scratch, BEFORE, text)
    assert {(finding.file, finding.rule) for finding in findings} == {("2.sql", rule)}, findings
    assert words in str(findings[0])


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE p ADD COLUMN x text; ALTER TABLE p ADD COLUMN y int NOT NULL DEFAULT 1;",
        "ALTER TABLE p ALTER COLUMN b TYPE varchar(20);",
        "ALTER TABLE p ADD CONSTRAINT x CHECK (n > 1) NOT VALID;",
        "ALTER TABLE c ADD FOREIGN KEY (p_id) REFERENCES p NOT VALID;",
        "ALTER TABLE c ADD COLUMN x int REFERENCES p;",
        "ALTER TABLE p VALIDATE CONSTRAINT later;",
        "ALTER TABLE p ALTER COLUMN a SET NOT NULL;",
        "ALTER TABLE p ADD CONSTRAINT x UNIQUE USING INDEX pn;",
        "ALTER TABLE p RENAME TO q; ALTER TABLE q RENAME COLUMN a TO z; ALTER INDEX pn RENAME TO qn;",
        "ALTER TABLE c ALTER COLUMN id SET DEFAULT 1;",
        "ALTER TABLE p DROP COLUMN a; DROP INDEX pb;",
        "CREATE TABLE x (id int PRIMARY KEY, p_id int NOT NULL REFERENCES p); CREATE INDEX ON x (p_id);",
        "CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (2) TO (3);",
        "CREATE TRIGGER t BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();",
        "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY x ON p (a);",
        "-- migrate: no-transaction\nREINDEX TABLE CONCURRENTLY p;",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY mv;",
        "INSERT INTO p (id, a) VALUES (1, 'x'); UPDATE p SET n = 1; DELETE FROM p;",
    ],
)
async def test_a_brief_lock_is_no_finding(scratch: asyncpg.Connection, text: str) -> None:
    if "varchar(20)" in text:  # the CHECK of that column would be read again
        text = "ALTER TABLE p DROP CONSTRAINT p_b_check; " + text
    assert await found(scratch, BEFORE, text) == []


async def test_a_do_block_is_seen_through(scratch: asyncpg.Connection) -> None:
    text = """\
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_indexes WHERE indexname = 'x') THEN
        EXECUTE 'CREATE INDEX x ON ' || 'p (a)';
    END IF;
    ALTER TABLE c ALTER COLUMN p_id TYPE bigint;
END $$;
"""
    findings = await found(scratch, BEFORE, text)
    assert [(f.line, f.column, f.rule) for f in findings] == [(4, 42, "blocking-index"), (6, 17, "rewrites-table")]


async def test_what_a_later_file_validates_stays_unmentioned(scratch: asyncpg.Connection) -> None:
    later = [
        "ALTER TABLE p VALIDATE CONSTRAINT later;",
        "ALTER TABLE p ADD COLUMN x int;",
        "DROP TABLE c;",
        "DROP TABLE p CASCADE;",
    ]
    assert await found(scratch, BEFORE, *later, "CREATE TABLE p (id int); CREATE INDEX ON p (id);") == []


async def test_a_file_that_does_not_apply_is_said_so(scratch: asyncpg.Connection) -> None:
    findings = await found(scratch, BEFORE, "SELECT nope;", "SELECT 1;")
    assert [(f.file, f.rule) for f in findings] == [("2.sql", "does-not-apply")]
    assert [f.rule for f in await found(scratch, "COMMIT;")] == ["does-not-apply"]


async def test_our_own_migrations_come_out_clean(scratch: asyncpg.Connection) -> None:
    assert await found(scratch, *OURS) == []
