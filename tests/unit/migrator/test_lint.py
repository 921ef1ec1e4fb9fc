"""The rules about a migration's text: what each finds, and what it leaves alone."""

import subprocess
from pathlib import Path

import pytest

from medley.runtime.errors import ConfigurationError
from services.migrator.lint.findings import Finding, judge, late_merged
from services.migrator.lint.revision import migrations_at
from services.migrator.lint.rules import find_unwise
from services.migrator.sql.directives import read_script


def rules(text: str) -> list[str]:
    return [f"{f.line}:{f.column} {f.rule}" for f in find_unwise([read_script("f.sql", text)])]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("INSERT INTO t VALUES (1);", "1:1 insert-columns"),
        ("INSERT INTO s.t AS x SELECT 1;", "1:1 insert-columns"),
        ("INSERT INTO t (SELECT 1);", "1:1 insert-columns"),
        ("DO $$ BEGIN\n  INSERT INTO t VALUES (1);\nEND $$;", "2:3 insert-columns"),
        ("CREATE VIEW v AS\nSELECT * FROM t;", "2:8 select-star"),
        ("CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS $$ SELECT t.* FROM t $$;", "1:65 select-star"),
        ("DROP TABLE t CASCADE;", "1:14 drop-cascade"),
        ("ALTER TABLE t DROP COLUMN a CASCADE;", "1:29 drop-cascade"),
        ("SET search_path = a;", "1:1 session-setting"),
        ("SET ROLE a;", "1:1 session-setting"),
        ("SELECT pg_catalog.set_config('search_path', '', false);", "1:19 session-setting"),
        ("CREATE TABLE t (a timestamp);", "1:19 timestamp"),
        ("CREATE TABLE t (a timestamp(3) without time zone);", "1:19 timestamp"),
        ("CREATE TABLE t (a int, b char(3));", "1:26 char"),
        ("CREATE TABLE t (a varchar(3));", "1:19 varchar"),
        ("ALTER TABLE t ADD COLUMN a character varying (3);", "1:28 varchar"),
        ("ALTER TABLE t ALTER COLUMN a TYPE json;", "1:35 json"),
        ("CREATE TABLE t (a bigserial);", "1:19 serial"),
        ("CREATE TABLE t (a money);", "1:19 money"),
        ("CREATE EXTENSION pg_trgm;", "1:1 not-in-pglite"),
        ("CREATE ROLE r;", "1:1 not-in-pglite"),
        ("GRANT SELECT ON t TO r;", "1:1 not-in-pglite"),
        ("ALTER TABLE t OWNER TO r;", "1:15 not-in-pglite"),
        ("ALTER TABLE t ADD COLUMN a int;\nUPDATE t SET a = 1;", "2:1 data-and-ddl"),
        ("CREATE INDEX ON t (a);\nDO $$ BEGIN DELETE FROM s.u; END $$;", "2:13 data-and-ddl"),
    ],
)
def test_a_rule_finds_its_place(text: str, found: str) -> None:
    assert rules(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t (a) VALUES (1);",
        "INSERT INTO t DEFAULT VALUES;",
        "SELECT * FROM t; SELECT count(*), 2 * 3;",
        "CREATE VIEW v AS SELECT count(*), a * b FROM t WHERE EXISTS (SELECT * FROM u);",
        "CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE);",
        "SET LOCAL lock_timeout = '1s'; SET CONSTRAINTS ALL IMMEDIATE; SELECT set_config('a.b', '', true);",
        "UPDATE t SET a = 1;",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = '' AS 'SELECT 1';",
        "CREATE TABLE t (a timestamp with time zone, b timestamp(3) with time zone, c timestamptz, d varchar, e text);",
        "CREATE TABLE t (json jsonb, timestamp timestamptz, money numeric, \"char\" text);",
        "SELECT a::json, 'x'::varchar(3);",
        "CREATE TABLE t (a int); INSERT INTO t (a) VALUES (1); UPDATE t SET a = 2; DELETE FROM t;",
        "UPDATE t SET a = 1; DELETE FROM u;",
        "-- server-only\nCREATE EXTENSION pg_trgm; GRANT SELECT ON t TO r;",
        "CREATE EXTENSION IF NOT EXISTS plpgsql;",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET a = 1; RETURN NEW; END $$;",
    ],
)  # fmt: skip
def test_what_is_fine_is_left_alone(text: str) -> None:
    assert rules(text) == []


def test_an_accepted_finding_is_kept_apart_with_its_reason() -> None:
    text = '-- lint: accept json reason="key order matters"\nCREATE TABLE t (\n  a json,\n  b money\n);'
    script = read_script("f.sql", text)
    judged = judge([*find_unwise([script]), Finding("g.sql", 1, 1, "json", "x", "y")], [script])
    assert [(f.file, f.rule) for f in judged.open] == [("f.sql", "money"), ("g.sql", "json")]
    assert [(f.rule, reason) for f, reason in judged.accepted] == [("json", "key order matters")]
    assert str(judged.open[0]) == (
        "f.sql:4:5: money: money is read by the server's locale; write numeric, or bigint in the smallest unit"
    )


def test_a_file_that_was_merged_late_is_found() -> None:
    late = late_merged(
        {"1600000000_a.sql", "1600000002_c.sql"}, ["1600000001_b.sql", "1600000002_c.sql", "1600000003_d.sql"]
    )
    assert [(f.file, f.rule) for f in late] == [("1600000001_b.sql", "late-merged")]
    assert "1600000002_c.sql" in late[0].why
    assert late_merged(set(), ["1600000001_b.sql"]) == []


def test_the_names_of_a_revision_come_from_git(tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="inside a repository"):
        migrations_at("HEAD", folder)
    for name in ("1600000000_a.sql", "init.sql"):
        (folder / name).write_text("SELECT 1;")

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    (folder / "1600000001_b.sql").write_text("SELECT 1;")
    assert migrations_at("HEAD", folder) == {"1600000000_a.sql"}
    with pytest.raises(ConfigurationError, match="fetch nowhere first"):
        migrations_at("nowhere", folder)
    with pytest.raises(ConfigurationError, match="no revision"):
        migrations_at("--output=x", folder)


def test_our_own_migrations_come_out_clean() -> None:
    files = sorted(Path("schema").glob("[0-9]*.sql"))
    assert find_unwise([read_script(path.name, path.read_text()) for path in files]) == []
