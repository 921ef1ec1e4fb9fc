"""The index of a clause: what it reads of Postgres's spelling, and that it never misses a row."""

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley.contracts.shapes import ClauseColumn
from services.sync.predicates.grammar import array
from services.sync.predicates.index import index
from services.sync.predicates.template import template
from services.sync.router import Router
from services.sync.where import compile_alternatives


def column(name: str, kind: str, deterministic: bool = True) -> ClauseColumn:
    return ClauseColumn(
        name=name,
        type_oid=0,
        modifier=-1,
        type_sql=kind,
        type_name=kind,
        made_of_text=False,
        deterministic=deterministic,
    )


COLUMNS = [
    *(column("a", "int4"), column("b", "bool"), column("T x", "text"), column("n", "numeric"), column("v", "varchar")),
    *(column("loose", "text", deterministic=False), column("f", "float8"), column("code", "bpchar")),
]
A1, A2 = ("a", "int4", "1"), ("a", "int4", "2")


@pytest.mark.parametrize(
    ("sql", "alternatives", "exact"),
    [
        ("(a = 1)", [(A1,)], True),
        ("(1 = a)", [(A1,)], True),
        ("(a = '-1'::integer)", [(("a", "int4", "-1"),)], True),
        ("b", [(("b", "bool", "t"),)], True),
        ("(NOT b)", [(("b", "bool", "f"),)], True),
        ("(a = NULL::integer)", [], True),
        ("(\"T x\" = 'it''s (x'::text)", [(("T x", "text", "it's (x"),)], True),
        ("((v)::text = 'x'::text)", [(("v", "varchar", "x"),)], True),
        ("(n = (5)::numeric)", [(("n", "numeric", "5"),)], True),
        ("(a = ANY (ARRAY[1, 2]))", [(A1,), (A2,)], True),
        ("(a = ANY ('{1,2,NULL}'::integer[]))", [(A1,), (A2,)], True),
        ("((a = 1) AND b)", [(A1, ("b", "bool", "t"))], True),
        ("((a = 1) AND (f <> 2.5))", [(A1,)], False),
        ("((a = 1) OR ((a = 2) AND (f <> 2.5)))", [(A1,), (A2,)], False),
        ("((a = ANY (ARRAY[1, 2])) AND b)", [(A1, ("b", "bool", "t")), (A2, ("b", "bool", "t"))], True),
    ],
)
def test_what_is_found(sql: str, alternatives: list[tuple[Any, ...]], exact: bool) -> None:
    found = index(sql, COLUMNS)
    assert found is not None
    assert (list(found.alternatives), found.exact) == (alternatives, exact)


@pytest.mark.parametrize(
    "sql",
    [
        *("(a <> 1)", "(small = '1.5'::real)", "(loose = 'x'::text)", "(NOT (a = 1))", "(NOT (a > 1))"),
        *("(a OPERATOR(x.=) 1)", "((a = 1) IS NOT TRUE)", "((a = 1) = b)", "((a = 1) OR (f <> 2.5))", "(a[1] = 1)"),
        *("(lower(\"T x\") = 'x'::text)", "CASE WHEN b THEN (a = 1) ELSE false END", "(a = ALL (ARRAY[1]))"),
        *("((\"T x\" COLLATE \"C\") = 'x'::text)", "(n = 'x'::text)", "(a = 1", "(zzz = 1)", "((a)::numeric = 1.0)"),
        *("(a IS DISTINCT FROM 1)", "(b IS NOT TRUE)"),
    ],
)  # fmt: skip
def test_what_is_left_to_postgres(sql: str) -> None:
    assert index(sql, COLUMNS) is None


X = column("x", "int4")
MOOD = X.model_copy(update={"type_name": "mood", "type_sql": "public.mood", "enumerated": True})
BYTES = column("c", "text").model_copy(update={"bytewise": True, "type_sql": 'text COLLATE pg_catalog."C"'})
MORE = [
    *(*COLUMNS, X, BYTES, column("ts", "text[]"), column("j", "jsonb"), column("nm", "name")),
    *(MOOD.model_copy(update={"name": "m"}), column("fake", "date").model_copy(update={"type_sql": "public.date"})),
]


@pytest.mark.parametrize(
    ("sql", "shown", "exact"),
    [
        ("(a < 1)", ["a < 1"], True),
        ("(1 < a)", ["a > 1"], True),
        ("((a >= 1) AND (a <= 5))", ["a >= 1 AND a <= 5"], True),
        ("(n > (5)::numeric)", ["n > 5"], True),
        ("(f >= (2.5)::double precision)", ["f >= 2.5"], True),
        ("(c < 'b'::text)", ["c < b"], True),
        ("(\"T x\" ~~ 'a%'::text)", ["T x begins with a"], True),
        ("(\"T x\" ~~ 'a\\%b_%'::text)", ["T x begins with a%b"], False),
        ("(\"T x\" ~~ 'abc'::text)", ["T x = abc"], True),
        ("(code ~~ 'ab'::text)", ["code begins with ab"], False),
        ("(nm ~~ 'a%'::text)", ["nm begins with a"], True),
        ("starts_with((v)::text, 'x'::text)", ["v begins with x"], True),
        ("(\"T x\" ^@ 'x'::text)", ["T x begins with x"], True),
        ("(ts @> ARRAY['x'::text, 'y'::text])", ["ts has x AND ts has y"], True),
        ("('{x}'::text[] <@ ts)", ["ts has x"], True),
        ("(ts && '{x,y}'::text[])", ["ts has x", "ts has y"], True),
        ("('x'::text = ANY (ts))", ["ts has x"], True),
        ("(ts @> '{x,NULL}'::text[])", [], True),
        ("(j @> '{\"a\": {\"b\": 1}}'::jsonb)", ["j -> a -> b is or has 1"], False),
        ("((j ->> 'a'::text) = 'x'::text)", ["j -> a is or has x"], False),
        ("(((j -> 'a'::text) ->> 'b'::text) = ANY (ARRAY['x'::text]))", ["j -> a -> b is or has x"], False),
        ("(m = 'ok'::public.mood)", ["m = ok"], False),
    ],
)  # fmt: skip
def test_more_than_equalities(sql: str, shown: list[str], exact: bool) -> None:
    found = index(sql, MORE)
    assert found is not None
    assert (list(found.shown()), found.exact) == (shown, exact)


@pytest.mark.parametrize(
    "sql",
    [
        *("(\"T x\" < 'a'::text)", "(\"T x\" ~~ '%a'::text)", "(\"T x\" ~~ 'ab\\'::text)", "(\"T x\" !~~ 'a%'::text)"),
        *("(loose ~~ 'a%'::text)", "(\"T x\" ~~ like_escape('a%'::text, 'b'::text))", "(\"T x\" ~~* 'a%'::text)"),
        *("(fake > '2026-01-01'::date)", "(m > 'ok'::public.mood)", "(m = 'ok'::other.mood)", "(ts <@ '{x}'::text[])"),
        *("(ts @> '{}'::text[])", "(j @> '{}'::jsonb)", "((j ->> 'a'::text) = '{}'::text)", "(j <@ '[1]'::jsonb)"),
        *("(f > (1e400)::double precision)", "(a > ANY (ARRAY[1]))", "(a OPERATOR(x.<) 1)"),
        *("(x.starts_with(v, 'a'::text))", "(j @> '[{\"a\": 1}]'::jsonb)", "(a < n)"),
    ],
)  # fmt: skip
def test_more_that_is_left_to_postgres(sql: str) -> None:
    assert index(sql, MORE) is None


def test_too_many_combinations_are_not_made() -> None:
    many = ", ".join(map(str, range(500)))
    found = index(f"((a = ANY (ARRAY[{many}])) AND (n = ANY (ARRAY[0.5, 1.5, 2.5])))", COLUMNS)
    assert found is not None
    assert (len(found.alternatives), found.exact) == (3, False)


Tree = tuple[Any, ...]
SIGNS = {
    **{"=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
}
LEAVES = st.one_of(
    st.tuples(st.just("="), st.sampled_from("xyz"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["<", "<=", ">", ">=", "<>"]), st.sampled_from("xyz"), st.integers(0, 3)),
    st.tuples(st.just("in"), st.sampled_from("xyz"), st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=3)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries({name: st.one_of(st.none(), st.integers(0, 3)) for name in "xyz"})


def sql(tree: Tree) -> str:
    """As Postgres writes it."""
    match tree:
        case (sign, name, value) if sign in SIGNS:
            return f"({name} {sign} {value})"
        case ("in", name, values):
            return f"({name} = ANY ('{{{','.join('NULL' if v is None else str(v) for v in values)}}}'::integer[]))"
        case (word, parts):
            return "(" + f" {word} ".join(map(sql, parts)) + ")"
    raise AssertionError(tree)


def holds(tree: Tree, row: dict[str, int | None]) -> bool:
    """Whether it is true; there is no NOT, so NULL is as good as false."""
    match tree:
        case (sign, name, value) if sign in SIGNS:
            mine = row[name]
            return mine is not None and SIGNS[sign](mine, value)
        case ("in", name, values):
            return row[name] is not None and row[name] in values
        case ("AND", parts):
            return all(holds(part, row) for part in parts)
        case ("OR", parts):
            return any(holds(part, row) for part in parts)
    raise AssertionError(tree)


class Shape:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        found = index(sql(tree), [column(name, "int4") for name in "xyz"])
        self.exact = found is not None and found.exact
        self.where = compile_alternatives(found.alternatives) if found is not None else None


@given(st.lists(TREES, max_size=6), st.lists(ROWS, max_size=6), st.integers(0, 5))
def test_no_shape_of_a_row_is_missed(trees: list[Tree], rows: list[dict[str, int | None]], gone: int) -> None:
    router: Router[Shape] = Router()
    shapes = [Shape(tree) for tree in trees]
    for shape in shapes:
        router.add(1, shape)
    for shape in shapes[:gone]:
        router.remove(1, shape)
    for row in rows:
        texts = {name: None if value is None else str(value) for name, value in row.items()}
        found = list(router.concerned(1, texts))
        assert len(found) == len({id(shape) for shape in found})
        for shape in shapes[:gone]:
            assert shape not in found
        for shape in shapes[gone:]:
            assert shape in found or not holds(shape.tree, row)
            if shape.exact and shape.where is not None:
                assert shape.where.matches(texts) == holds(shape.tree, row)
                if all(len(one.rest) <= 1 for one in shape.where.others):
                    assert (shape in found) == holds(shape.tree, row)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("{}", []),
        ("{1,NULL,x}", ["1", None, "x"]),
        ('{"NULL","a,b","q\\"\\\\",""}', ["NULL", "a,b", 'q"\\', ""]),
        ("{{1},{2}}", None),
        ("[0:1]={1,2}", None),
    ],
)
def test_arrays(text: str, members: list[str | None] | None) -> None:
    assert array(text) == members


def test_clauses_alike_but_for_constants_share_a_template() -> None:
    one, mine = template("((j ->> 'a'::text) = 'it''s'::text) AND (n > 5) AND (v = 'x'::character varying(3))")
    other, theirs = template("((j ->> 'b'::text) = 'c'::text) AND (n > 77) AND (v = 'x'::character varying(3))")
    assert one == other
    assert (mine, theirs) == (("a", "it's", "5"), ("b", "c", "77"))
    assert one.literal(mine).startswith("((j ->> 'a'::text) = 'it''s'::text) AND (n > '5'::integer)")


def test_modifiers_and_types_of_users_stay_in_the_template() -> None:
    sql = "((n)::numeric(10,2) = m) AND (m = 'ok'::public.mood) AND (c = 'x'::\"char\") AND (t = '1'::character(1))"
    assert template(sql)[1] == ()
