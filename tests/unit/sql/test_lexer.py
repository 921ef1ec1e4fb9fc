"""Where statements end: as Postgres reads them, every character accounted for."""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley.sql.lexer import Lines, lex, read, split

# Whole statements, each with something in it that could be taken for an end.
STATEMENTS = [
    "SELECT 1;",
    "SELECT ';', 'it''s;', E'a\\';', U&'\\0041;', B'01', x';', N';';",
    "SELECT E'one'\n  -- ;'\n  'two\\';';",
    'SELECT ";", "a"";b", U&"c;" FROM t;',
    "DO $$ BEGIN PERFORM 1; END $$;",
    "SELECT $a$ ; $$ ; $b$ ; $a$, $é$;$é$;",
    "SELECT a$b$, foe'x', $1 FROM t$x$;",
    "SELECT 1 -- ; /* '\n, 2;",
    "SELECT /* ; /* ; */ ' ; */ 1;",
    "SELECT 1 - -1 / 2 * 3 -/**/- 4 ^ 5 @> 6;",
    "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2 AS end; END;",
    "create or replace /* ; */ procedure p() begin atomic insert into t values (1);"
    " select (case 1 when 1 then 2 end); end;",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;';",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (UPDATE t SET a = (1); DELETE FROM u;);",
    "CREATE TABLE függvény (név text DEFAULT '🎵;');",
    "\\i other.sql",
    "COPY t FROM STDIN;\nit's;\t$$\n\\.\n",
]
GAPS = st.sampled_from(
    ["\n", " \n\t", "\n-- a ; comment's \n", "\n/* a /* nested ; */ ' */\n", "\n;\n", "\n\n-- é🎵\n"]
)


@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), GAPS), max_size=12), GAPS)
def test_statements_joined_are_split_again_and_every_character_is_kept(
    pieces: list[tuple[str, str]], first: str
) -> None:
    text = first + "".join(statement + gap for statement, gap in pieces)
    found = split(text)
    assert [statement.text for statement in found] == [statement.rstrip() for statement, _ in pieces]
    rebuilt, at = "", 0
    for statement in found:
        gap = text[at : statement.offset]
        assert {token.text for token in lex(gap) if token.kind != "comment"} <= {";"}
        rebuilt, at = rebuilt + gap + statement.text, statement.end
        lines = text[: statement.offset].split("\n")
        assert (statement.line, statement.column) == (len(lines), len(lines[-1]) + 1)
    assert rebuilt + text[at:] == text


@given(st.text(alphabet="aeE'\"$;-/*\\\n (ATOMICBEGINENDuU&1.", max_size=60))
def test_any_text_at_all_is_split_without_losing_a_character(text: str) -> None:
    found = split(text)
    assert all(text[s.offset : s.end] == s.text for s in found)
    assert all(a.end <= b.offset for a, b in pairwise(found))
    ends = [token.end for token in lex(text)]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("text", "what", "offset"),
    [
        ("SELECT 1; SELECT 'abc; SELECT 2", "string", 17),
        ("SELECT E'abc\\'; SELECT 2", "string", 7),
        ('SELECT "abc; SELECT 2', "quoted identifier", 7),
        ("SELECT 1; /* /* */ SELECT 2", "comment", 10),
        ("SELECT $a$ x $b$; SELECT 2", "dollar-quoted string", 7),
    ],
)
def test_what_never_ends_is_told_with_its_beginning(text: str, what: str, offset: int) -> None:
    opened = read(text).opened
    assert opened is not None
    assert (opened.what, opened.offset) == (what, offset)


def test_an_unclosed_parenthesis_is_the_fault_of_one_statement_only() -> None:
    assert [s.text for s in split("CREATE TABLE a (id int;\nSELECT 1;")] == ["CREATE TABLE a (id int;", "SELECT 1;"]


def test_the_last_statement_needs_no_semicolon_and_takes_no_comment_with_it() -> None:
    assert [s.text for s in split("SELECT 1;\nSELECT 2 -- the end\n/* really */")] == ["SELECT 1;", "SELECT 2"]
    assert split(" \n-- nothing\n;;\n") == []


def test_the_first_words_of_a_statement_skip_its_comments() -> None:
    assert split('create -- a\n /* b */ unique index x on "T";')[0].words(6) == (
        "CREATE",
        "UNIQUE",
        "INDEX",
        "X",
        "ON",
        '"T"',
    )


def test_lines_and_columns_count_characters_from_one() -> None:
    lines = Lines("é\n🎵x\n")
    assert [lines.at(offset) for offset in range(6)] == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]


def test_our_own_migrations_begin_each_statement_with_a_verb() -> None:
    for path in Path("schema").glob("[0-9]*.sql"):
        found = split(path.read_text())
        assert found
        assert {s.words(1)[0] for s in found} <= {"CREATE", "ALTER", "INSERT", "DROP", "COMMENT", "DO", "UPDATE"}


@pytest.mark.parametrize("text", ["/*" * 50_000, "'" + "a''" * 50_000, "$a$ " + "$b$ " * 50_000, "(;" * 2_000])
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    began = time.perf_counter()
    split(text)
    assert time.perf_counter() - began < 5  # a quadratic reading would take minutes
