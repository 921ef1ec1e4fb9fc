"""Lists in CHECK constraints, as Postgres prints them; anything that says more is no list."""

import pytest

from medley.gate.rules.checks import asks_for_null, listed

LISTS = {
    "CHECK ((state = ANY (ARRAY['new'::text, 'done'::text])))": ("state", {"'new'", "'done'"}),
    "CHECK (((state)::text = ANY (ARRAY['a'::character varying, 'b'::character varying])))": ("state", {"'a'", "'b'"}),
    "CHECK (((state)::text = ANY ((ARRAY['a'::character varying(9), 'b'::character varying(9)])::text[])))": (
        "state",
        {"'a'", "'b'"},
    ),
    "CHECK ((state = 'it''s, (so)'::text))": ("state", {"'it''s, (so)'"}),
    "CHECK ((n = ANY (ARRAY['-1'::integer, 0, 7])))": ("n", {"-1", "0", "7"}),
    "CHECK ((n = 1))": ("n", {"1"}),
    "CHECK ((mood = ANY (ARRAY['a'::shop.mood, 'b'::shop.mood])))": ("mood", {"'a'", "'b'"}),
}
OTHERS = [
    "CHECK (((state = 'a'::text) OR (kind = 'b'::text)))",
    "CHECK (((state = 'a'::text) AND (kind = 'b'::text)))",
    "CHECK ((state <> 'a'::text))",
    "CHECK ((state = lower(state)))",
    "CHECK ((lower(state) = 'a'::text))",
    "CHECK ((state <> ALL (ARRAY['a'::text, 'b'::text])))",
    "CHECK (((state = ANY (ARRAY['a'::text, 'b'::text])) OR (n > 1)))",
]


@pytest.mark.parametrize("definition", LISTS)
def test_a_list_is_read(definition: str) -> None:
    found = listed(definition)
    assert found is not None
    assert (found[0], set(found[1])) == LISTS[definition]


@pytest.mark.parametrize("definition", OTHERS)
def test_what_says_more_is_no_list(definition: str) -> None:
    assert listed(definition) is None


@pytest.mark.parametrize(
    ("definition", "asks"),
    [
        ("CHECK ((note IS NOT NULL))", True),
        ("CHECK ((COALESCE(note, ''::text) <> ''::text))", True),
        ("CHECK ((num_nulls(a, b) = 1))", True),
        ("CHECK ((note IS DISTINCT FROM 'x'::text))", True),
        ("CHECK ((char_length(note) > 1))", False),
        ("CHECK ((annulled > 0))", False),
    ],
)
def test_a_check_may_ask_for_null(definition: str, asks: bool) -> None:
    assert asks_for_null(definition) is asks
