"""What Postgres 15 qualifies and later versions do not is taken away, and nothing else."""

import pytest

from medley.gate.views import unqualified

CASES = [
    # One table: its columns are bare, and what only looks like one stays.
    (" SELECT item.id FROM shop.item WHERE (item.a > 1);", " SELECT id FROM shop.item WHERE (a > 1);"),
    (" SELECT i.id AS x FROM shop.item i ORDER BY i.x;", " SELECT id AS x FROM shop.item i ORDER BY x;"),
    (' SELECT "A.b"."C d" FROM shop."A.b";', ' SELECT "C d" FROM shop."A.b";'),
    (' SELECT "q""t".a FROM "q""t";', ' SELECT a FROM "q""t";'),
    (" SELECT 'i.id', E'\\\\i.id' FROM item i;", " SELECT 'i.id', E'\\\\i.id' FROM item i;"),
    (" SELECT i.*::shop.item AS i FROM shop.item i;", " SELECT i.*::shop.item AS i FROM shop.item i;"),
    (" SELECT shop.f(shop.id), shop.m::shop.mood FROM shop.shop;", " SELECT shop.f(id), m::shop.mood FROM shop.shop;"),
    (" SELECT (i.pair).first FROM item i;", " SELECT (pair).first FROM item i;"),
    (
        " SELECT a.id FROM ONLY a TABLESAMPLE system (10) FOR UPDATE OF a;",
        " SELECT id FROM ONLY a TABLESAMPLE system (10) FOR UPDATE OF a;",
    ),
    (" SELECT n.n FROM generate_series(1, 3) n(n) LIMIT 3;", " SELECT n FROM generate_series(1, 3) n(n) LIMIT 3;"),
    ("materialized SELECT a.id FROM a GROUP BY a.id;", "materialized SELECT id FROM a GROUP BY id;"),
    # Queries inside keep theirs, of the outer table, too.
    (
        " SELECT a.id FROM a WHERE (EXISTS ( SELECT 1 FROM b WHERE (b.x = a.x)));",
        " SELECT id FROM a WHERE (EXISTS ( SELECT 1 FROM b WHERE (b.x = a.x)));",
    ),
    (" SELECT s.x FROM ( SELECT a.x FROM a) s;", " SELECT x FROM ( SELECT a.x FROM a) s;"),
    (" WITH t AS ( SELECT a.x FROM a) SELECT t.x FROM t;", " WITH t AS ( SELECT a.x FROM a) SELECT x FROM t;"),
    (" SELECT v.a FROM ( VALUES (1,2)) v(a, b);", " SELECT a FROM ( VALUES (1,2)) v(a, b);"),
]
SEVERAL = [
    " SELECT a.id FROM a, b;",
    " SELECT a.id FROM (a JOIN b ON ((a.x = b.x)));",
    " SELECT a.id FROM a UNION SELECT b.id FROM b;",
    " SELECT 1 AS one;",
    " SELECT EXTRACT(epoch FROM now()) AS e;",
]


@pytest.mark.parametrize(("earlier", "later"), CASES)
def test_columns_of_the_one_table_are_bare(earlier: str, later: str) -> None:
    assert unqualified(earlier) == later


@pytest.mark.parametrize("definition", SEVERAL)
def test_with_several_tables_or_none_nothing_changes(definition: str) -> None:
    assert unqualified(definition) == definition


@pytest.mark.parametrize(("earlier", "later"), CASES)
def test_what_is_bare_stays_as_it_is(earlier: str, later: str) -> None:
    assert unqualified(later) == later
