"""A clause cannot leave its parentheses, and its parameters are literals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley.clauses.refusal import Refusal
from medley.clauses.text import read
from medley.sql.lexer import lex

OPEN = {
    "a = 1; DROP TABLE t": 'At location 5: unexpected ";"',
    "a = 1) OR (true": 'At location 5: unexpected ")"',
    "(a = 1": 'At location 0: "(" is not closed',
    "a[1)]": 'At location 3: unexpected ")"',
    "(a[1)]": 'At location 4: unexpected ")"',
    "a = 'x": "At location 4: a quote or comment is not closed",
    'a = "x': "At location 4: a quote or comment is not closed",
    "a = $$x$": "At location 4: a quote or comment is not closed",
    "a = E'x\\'": "At location 4: a quote or comment is not closed",
    "a = 1 /* ": "At location 6: a quote or comment is not closed",
    "a = 1 /* /* */": "At location 6: a quote or comment is not closed",
    "a = 1 \\! ls": 'At location 6: unexpected "\\"',
    "": "can't be blank",
    " -- nothing": "can't be blank",
    "a = '\0'": "must be text that Postgres can hold: no NUL, no lone surrogates",
    "a = '\ud800'": "must be text that Postgres can hold: no NUL, no lone surrogates",
    "a" * 65_537: "is longer than 65536 bytes",
    "ä" * 40_000: "is longer than 65536 bytes",
}


@pytest.mark.parametrize("text", OPEN)
def test_what_is_not_closed_in_itself_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as found:
        read("where", text)
    assert (found.value.field, found.value.text) == ("where", OPEN[text])


WRITTEN = {
    "a = 1 -- it": "a = 1",
    "a = /* ) */ 1": "a = 1",
    "a --\n= 1": "a = 1",
    "a='--'": "a='--'",
    "a = '/*' OR b = '*/'": "a = '/*' OR b = '*/'",
    '"a)" = $$ ) $$': '"a)" = $$ ) $$',
    "a = $1 AND b LIKE $2": "a = ('x''; --') AND b LIKE (E'\\\\')",
    "a = '$1'": "a = '$1'",
    "a$1 = 1": "a$1 = 1",
    "'a' /*\n*/ 'b'": "'a' 'b'",  # as Postgres has it, no longer string: a syntax error
}


@pytest.mark.parametrize("text", WRITTEN)
def test_it_is_written_without_comments_and_with_values(text: str) -> None:
    assert read("where", text).write(["x'; --", "\\"]).sql == WRITTEN[text]


@pytest.mark.parametrize("text", ["a = $3", "a = $0", "a = $99999999999999999999"])
def test_a_parameter_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as found:
        read("where", text).write(["x", "y"])
    assert found.value.field == "params"
    assert found.value.text.startswith("At location 4: parameter $")


@pytest.mark.parametrize("value", ["a\0", "\udfff"])
def test_a_value_that_postgres_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(Refusal, match="params"):
        read("where", "a = $1").write([value])


@given(st.text(st.sampled_from("$1'\"\\-/*()[]; \nEeU&ab;é"), max_size=40), st.text(max_size=20))
def test_whatever_is_accepted_stays_balanced_with_its_values(text: str, value: str) -> None:
    try:
        sql = read("where", text).write([value]).sql
    except Refusal:
        return
    tokens = list(lex(f"(\n{sql}\n)"))
    assert all(token.kind not in ("open", "meta", "comment") and token.text != ";" for token in tokens)
    depths, depth = [], 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        depths.append(depth)
    assert depths[-1] == 0
    assert all(depths[:-1])


def test_places_lead_back_to_the_text() -> None:
    text = "  a = $1 /* note */ AND b = $2"
    written = read("where", text).write(["a long value", "y"])
    for name in ("a", "AND", "b"):
        assert written.place(written.sql.index(name)) == text.index(name)
    assert written.place(written.sql.index("long")) == text.index("$1")
    assert written.place(written.sql.index("('y')")) == text.index("$2")
    assert written.place(len(written.sql) + 1) == len(text)


def test_templates_differ_by_all_but_the_values() -> None:
    assert read("where", "a = $1 -- x").template == read("where", "a  = $1").template
    assert read("where", "a = 'b'").template != read("where", "a = 'c'").template
