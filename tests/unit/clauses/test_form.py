"""What is read off the text that Postgres writes of a clause with subqueries."""

import pytest

from medley.clauses.form import Form, NotUnderstood, form

LINKS = "( SELECT links.song FROM public.links WHERE (links.list = 3))"


def test_a_subquery_is_found_with_its_parts() -> None:
    found = form('(songs.id IN ( SELECT l.song FROM public."Links" l WHERE (l.list = 3)))')
    [one] = found.subqueries
    assert (one.kind, one.lefts, one.targets) == ("ANY", ("songs.id",), ("l.song",))
    assert (one.schema, one.table, one.alias) == ("public", "Links", "l")
    assert one.where is not None
    assert one.where.write(str).strip() == "(l.list = 3)"


def test_rows_lists_and_names_of_targets() -> None:
    [one] = form("((a.x, f(a.y, 1)) IN ( SELECT DISTINCT b.x, (1 + 2) AS three FROM b ORDER BY b.x))").subqueries
    assert one.lefts == ("a.x", "f(a.y, 1)")
    assert one.targets == ("b.x", "(1 + 2)")
    assert (one.schema, one.table) == (None, "b")


@pytest.mark.parametrize(
    ("text", "monotone", "required"),
    [
        (f"(songs.id IN {LINKS})", True, True),
        (f"((songs.a = 1) AND (songs.id IN {LINKS}))", True, True),
        (f"((songs.a = 1) OR (songs.id IN {LINKS}))", True, False),
        (f"((songs.a = 1) OR ((songs.id IN {LINKS}) AND songs.b))", True, False),
        (f"(NOT (songs.id IN {LINKS}))", False, False),
        (f"((songs.id IN {LINKS}) IS TRUE)", False, False),
        (f"((songs.id IN {LINKS}) = songs.b)", False, False),
        (f"CASE WHEN (songs.id IN {LINKS}) THEN true ELSE false END", False, False),
        (f"coalesce((songs.id IN {LINKS}), false)", False, False),
    ],
)
def test_what_is_around_a_subquery(text: str, monotone: bool, required: bool) -> None:
    [one] = form(text).subqueries
    assert (one.monotone, one.required) == (monotone, required)


def test_written_again_it_is_the_same_clause() -> None:
    text = f"((NOT (songs.id IN {LINKS})) OR (EXISTS ( SELECT 1 FROM p.t t_1 WHERE (t_1.a <> ALL {LINKS}))))"

    def names(clause: Form) -> str:
        return " ".join(clause.write(lambda one: f'"{one.schema}"."{one.table}"').split())

    once = names(form(text))
    assert names(form(once)) == once
    assert [one.table for one in form(once).walk()] == ["links", "t", "links"]


@pytest.mark.parametrize(
    "text",
    [
        "(a.x = ( SELECT b.x FROM b))",
        "(a.x IN ( SELECT b.x FROM (b JOIN c ON (true))))",
        "(a.x IN ( SELECT b.x FROM b, c))",
        "(a.x IN ( SELECT b.x FROM b LIMIT 1))",
        "(a.x IN ( SELECT b.x FROM b GROUP BY b.x))",
        "(a.x IN ( SELECT ( SELECT c.x FROM c) AS x FROM b))",
        "((a.x IN ( SELECT b.x FROM b)) IN ( SELECT c.y FROM c))",
        "(a.x IN ( SELECT b.x FROM b TABLESAMPLE system (10)))",
        "(a.x IN ( SELECT b.x FROM b(1) b))",
        "(a.x = ARRAY( SELECT b.x FROM b))",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        form(text)
