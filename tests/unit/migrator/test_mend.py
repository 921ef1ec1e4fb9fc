"""Guesses at what a refused statement meant, and what follows from a refusal, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.migrator.sql.consequences import Consequences
from services.migrator.sql.locate import Refusal, locate
from services.migrator.sql.mend import Draft, mends, without


@given(st.text(alphabet="abc", min_size=1, max_size=20), st.data())
def test_what_an_edit_leaves_keeps_its_place(text: str, data: st.DataObject) -> None:
    draft, kept = Draft(text), list(range(len(text)))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(draft.text)))
        end = data.draw(st.integers(start, len(draft.text)))
        new = data.draw(st.sampled_from(["", ",", "text", "CHECK (true)"]))
        draft = draft.edit(start, end, new)
        kept = kept[:start] + [-1] * len(new) + kept[end:]
    assert all(draft.original(offset) == place for offset, place in enumerate(kept) if place >= 0)
    assert all(0 <= draft.original(offset) <= len(text) for offset in range(len(draft.text) + 1))


@pytest.mark.parametrize(
    ("text", "near", "mended"),
    [
        ("CREATE TABLE t (a int b int);", "b", "CREATE TABLE t (a int, b int);"),
        ("CREATE TABLE t (a int -- c\n b int);", "b", "CREATE TABLE t (a int, -- c\n b int);"),
        ("CREATE TABLE t (a int,);", ");", "CREATE TABLE t (a int );"),
        ("CREATE TABLE t (a int UNIQUE (a));", "(a)", "CREATE TABLE t (a int, UNIQUE (a));"),
        (
            "CREATE TABLE t (a int CONSTRAINT k PRIMARY KEY (a));",
            "(a)",
            "CREATE TABLE t (a int, CONSTRAINT k PRIMARY KEY (a));",
        ),
        ("SELECT a, FROM t;", "FROM", "SELECT a  FROM t;"),
        ("SELECT 1 IN ('a' 'b');", "'b'", "SELECT 1 IN ('a', 'b');"),
    ],
)
def test_a_comma_too_few_or_too_many_is_guessed(text: str, near: str, mended: str) -> None:
    assert next(mends(Draft(text), text.rindex(near))).draft.text == mended


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("CREATE TABLE t (a int PRIMRY KEY);", "PRIMRY"),
        ("CREATE TABLE t (a int NUL NOT NULL);", "NUL "),
        ("CREATE TABLE t (a int DEFALT now());", "DEFALT"),
        ("CREATE TABLE t (a int AUTO_INCREMENT PRIMARY KEY);", "AUTO"),
        ("CREATE TABLE t (a timestamp wit time zone);", "wit"),
        ("SELECT a b c;", "c"),
    ],
)
def test_a_misspelt_word_is_not_taken_for_a_missing_comma(text: str, near: str) -> None:
    assert list(mends(Draft(text), text.rindex(near))) == []


def test_a_table_is_kept_with_less_and_less_of_what_is_wrong() -> None:
    text = "CREATE TABLE t (a int, b nope REFERENCES u (id), CHECK (x > 1));"
    assert [draft.text for draft in without(Draft(text), text.index("REF"))] == [
        "CREATE TABLE t (a int, b nope , CHECK (x > 1));",
        "CREATE TABLE t (a int, b text, CHECK (x > 1));",
        "CREATE TABLE t (a int, CHECK (true), CHECK (x > 1));",
    ]
    assert [draft.text for draft in without(Draft(text), text.index("x"))] == [
        "CREATE TABLE t (a int, b nope REFERENCES u (id), CHECK (true));"
    ]
    assert list(without(Draft("CREATE INDEX i ON t (x);"), 20)) == []


def test_what_a_refused_statement_would_have_made_is_missed_later() -> None:
    consequences = Consequences()
    consequences.refused("ALTER TABLE s.t ADD COLUMN IF NOT EXISTS a int, ADD CONSTRAINT c CHECK (x), RENAME TO u;")
    consequences.refused("DO $$ BEGIN CREATE TABLE d (); EXECUTE 'CREATE INDEX \"I\" ON d (x)'; END $$;")

    def explains(sqlstate: str, message: str) -> bool:
        return consequences.explain(Refusal(sqlstate, message), "SELECT 1")

    assert explains("42703", 'column "a" does not exist')
    assert explains("42703", "column t.a does not exist")
    assert explains("42704", 'constraint "c" of relation "t" does not exist')
    assert explains("42P01", 'relation "u" does not exist')
    assert explains("42P01", 'relation "public.d" does not exist')
    assert explains("42P01", 'relation "d_pkey" does not exist')
    assert explains("42704", 'index "I" does not exist')
    assert not explains("42P01", 'relation "t" does not exist')
    assert not explains("42P07", 'relation "u" already exists')


def test_a_name_is_sought_where_such_a_name_stands() -> None:
    def near(sqlstate: str, message: str, text: str) -> int:
        return locate(Refusal(sqlstate, message), text)[0]

    text = "CREATE TABLE t (song int REFERENCES song (song));"
    assert near("42P01", 'relation "song" does not exist', text) == text.index("song (")
    assert near("42703", 'column "song" referenced in foreign key constraint does not exist', text) == text.index(
        "song))"
    )
    assert near("XX000", "no name at all", "  " + text) == 2
