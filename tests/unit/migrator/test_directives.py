"""What a migration file says about itself, and what is refused with line and column."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.migrator.sql.directives import Accept, read_script
from services.migrator.sql.faults import Fault


def faults(text: str) -> list[str]:
    return [str(fault) for fault in read_script("f.sql", text).faults]


def test_a_fault_is_one_line_that_an_editor_can_jump_to() -> None:
    assert str(Fault("f.sql", 3, 5, "syntax error", "title")) == 'f.sql:3:5: syntax error, near "title"'
    assert str(Fault("f.sql", 9, 1, "syntax error")) == "f.sql:9:1: syntax error, at the end of the file"
    assert Fault("a", 2, 9, "x") < Fault("a", 10, 1, "a")


def test_a_file_that_says_nothing_is_wholly_replicated() -> None:
    script = read_script("f.sql", "CREATE TABLE a ();\nCREATE TABLE b ();")
    assert (script.no_transaction, script.server_only, script.faults) == (False, False, ())
    assert [statement.replicated for statement in script.statements] == [True, True]


def test_what_stands_between_the_markers_is_replicated() -> None:
    text = (
        "CREATE TABLE a ();\n-- :electric:txn:start\nCREATE TABLE b ();\n--  :electric:txn:end\n"
        "CREATE TABLE c ();\n-- :electric:txn:start\nCREATE TABLE d ();\n-- :electric:txn:end\n"
    )
    script = read_script("f.sql", text)
    assert script.faults == ()
    assert [statement.replicated for statement in script.statements] == [False, True, False, True]


def test_a_file_for_the_server_alone_is_not_replicated() -> None:
    script = read_script("f.sql", "-- server-only\nCREATE TABLE a ();")
    assert script.server_only
    assert [statement.replicated for statement in script.statements] == [False]


def test_exceptions_carry_their_reasons() -> None:
    script = read_script(
        "f.sql",
        '-- compat: accept writer-breaking reason="no writer is older than 2.0"\n'
        'CREATE TABLE a (\n    -- lint: accept json reason="key order matters"\n    x json\n);',
    )
    assert script.faults == ()
    assert script.accepts == (Accept("writer-breaking", "no writer is older than 2.0"),)
    assert script.lint_accepts == (Accept("json", "key order matters"),)


def test_a_directive_in_a_string_or_dollar_quote_says_nothing() -> None:
    script = read_script("f.sql", "SELECT '\n-- server-only\n', $$\n-- migrate: foo\n$$;\n/* prose\n-- server-only */")
    assert (script.server_only, script.faults) == (False, ())


def test_prose_is_no_directive() -> None:
    assert (
        faults("-- This migrates songs.\n-- server only tables follow\n-- the server: only\n-- lint\nSELECT 1;") == []
    )


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("-- migrate: no-transactions\nSELECT 1;", "1:1", "no-transaction"),
        ("-- Migrate: no-transaction\nSELECT 1;", "1:1", "no-transaction"),
        ("-- migrate: up\nSELECT 1;", "1:1", "no-transaction"),
        ("SELECT 1; -- migrate: no-transaction", "1:11", "line of its own"),
        ("/* server-only */ SELECT 1;", "1:1", "line of its own"),
        ("-- server_only\nSELECT 1;", "1:1", "server-only"),
        ("-- server-only because clients need not see it\nSELECT 1;", "1:1", "server-only"),
        ("-- compat: accept breaking reason='x'\n", "1:1", 'reason="'),
        ('  -- compat: accept breaking reason="x"\n', "1:3", "there is no class breaking"),
        ("-- compat: accept writer-breaking\n", "1:1", 'reason="'),
        ('-- compat: accept writer-breaking reason=" "\n', "1:1", "needs a reason"),
        ('-- lint: ignore json reason="x"\n', "1:1", "lint: accept"),
        ("-- :electric:txn:begin\n", "1:1", "the markers are"),
        ("-- :electric:txn:start\nSELECT 1;", "1:1", "never ended"),
        ("SELECT 1;\n-- :electric:txn:end\n", "2:1", "nothing to end"),
        ("-- :electric:txn:start\n-- :electric:txn:start\n-- :electric:txn:end", "2:1", "do not nest"),
        ("-- server-only\n-- :electric:txn:start\n-- :electric:txn:end", "2:1", "nothing to mark"),
        ("SELECT\n-- :electric:txn:start\n1;\n-- :electric:txn:end", "2:1", "inside a statement"),
        ("-- migrate: no-transaction\nSELECT 1; SELECT 2;", "2:11", "exactly one statement, this is number 2"),
        ("-- migrate: no-transaction\n", "1:1", "this one has none"),
        ("SELECT 'é', 'abc;\n", "1:13", "this string is never ended"),
        ("SELECT 1;\n/* abc", "2:1", "this comment is never ended"),
        ("SELECT '\0';", "1:9", "NUL"),
    ],
)
def test_what_looks_like_a_directive_and_is_none_is_refused(text: str, place: str, words: str) -> None:
    found = faults(text)
    assert found[0].startswith(f"f.sql:{place}: ")
    assert words in found[0]


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN", "begin work", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT a", "RELEASE a",
        "PREPARE TRANSACTION 'a'", "COMMIT PREPARED 'a'", "SET TRANSACTION READ ONLY",
    ],
)  # fmt: skip
def test_the_migrator_makes_the_transaction(statement: str) -> None:
    found = faults(f"SELECT 1;\n  {statement};\nSELECT 2;")
    assert len(found) == 1
    assert found[0].startswith("f.sql:2:3: the migrator makes the transaction")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY i ON t (a)", "create unique index concurrently i on t (a)", "VACUUM FULL t",
        "DROP INDEX CONCURRENTLY i", "REINDEX TABLE CONCURRENTLY t", "REINDEX (VERBOSE) INDEX CONCURRENTLY t",
        "REINDEX DATABASE d", "CREATE DATABASE d", "DROP TABLESPACE t", "ALTER SYSTEM SET work_mem = '1GB'", "CLUSTER",
        "DISCARD ALL", "ALTER TABLE a.b DETACH PARTITION a.c CONCURRENTLY",
    ],
)  # fmt: skip
def test_what_cannot_run_in_a_transaction_needs_a_file_without_one(statement: str) -> None:
    found = faults(f"{statement};")
    assert len(found) == 1
    assert "put it alone into a file that says -- migrate: no-transaction" in found[0]
    assert faults(f"-- migrate: no-transaction\n{statement};") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX concurrently_made ON t (a)", "SET LOCAL lock_timeout = '1s'", "CLUSTER t USING i",
        "REINDEX TABLE t", "COPY t FROM '/tmp/x'", "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        "ALTER TABLE t DETACH PARTITION p",
        "SELECT '\\connect'", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", "ABORTED",
    ],
)  # fmt: skip
def test_what_can_run_in_a_transaction_is_left_alone(statement: str) -> None:
    assert faults(f"{statement};") == []


def test_commands_of_psql_and_data_in_the_file_are_refused() -> None:
    found = faults("\\connect other\nSELECT 1;\nSELECT 2 \\gset\nCOPY t (a) FROM STDIN;\nit's\n\\.\nSELECT 3;")
    assert [line.split(":", 3)[1] for line in found] == ["1", "3", "4"]
    assert found[0].endswith('leave it out, near "\\connect"')
    assert found[2].endswith('near "COPY … FROM STDIN"')


@given(st.text(alphabet="-: \n;'$/*\\acegilmnoprstvy\"=B", max_size=80))
def test_reading_never_raises_and_every_fault_has_a_place_in_the_file(text: str) -> None:
    script = read_script("f.sql", text)
    lines = text.split("\n")
    assert all(fault.column <= len(lines[fault.line - 1]) + 1 for fault in script.faults)


def test_our_own_migrations_have_no_fault() -> None:
    for path in Path("schema").glob("[0-9]*.sql"):
        assert read_script(path.name, path.read_text()).faults == ()
