"""Equality clauses: what is understood, what is refused and where, and how rows are matched."""

import pytest

from medley.contracts.shapes import Column
from services.sync.equalities import Constant, Equality, check_type, parse
from services.sync.table import ColumnFacts, Refused
from services.sync.where import compile_conditions


def test_every_way_to_write_an_equality() -> None:
    parsed = parse("""a = 1 AND 'it''s' = "B c" and ((d = $1)) AND e = TRUE and F = -1.5e3""", ["x\\y"])
    assert parsed == [
        Equality("a", "1", '"a" = 1'),
        Equality("B c", "it's", "\"B c\" = 'it''s'"),
        Equality("d", "x\\y", "\"d\" = E'x\\\\y'"),
        Equality("e", "true", '"e" = true'),
        Equality("f", "-1.5e3", '"f" = -1.5e3'),
    ]


@pytest.mark.parametrize(
    ("clause", "place"),
    [
        ("a =", "location 3"),
        ("a = 1 OR b = 2", "location 6"),
        ("a < 1", "location 2"),
        ("a = b", "location 2"),
        ("a OR b", "location 2"),
        ("a IS NULL", "location 2"),
        ("a = 1 AND", "location 9"),
        ("(a = 1", "location 6"),
        ("a = 1)", "location 5"),
        ("a = now()", "location 2"),
        ("a = 'open", "location 4"),
        ("a = 1; DROP TABLE songs", "location 5"),
        ("a = NULL", "location 4"),
        ("a = $2", "location 4"),
        ("", "location 0"),
        ("a = 1 -- x", "location 6"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(clause: str, place: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse(clause, ["only one"])
    assert place.lower() in refusal.value.errors["where"][0].lower()


def facts(name: str, type_name: str, dims: int = 0, deterministic: bool = True) -> ColumnFacts:
    return ColumnFacts(Column(name=name, type_oid=0), type_name, f"pg_catalog.{type_name}", dims, deterministic)


@pytest.mark.parametrize(
    "column",
    [facts("a", "float8"), facts("a", "jsonb"), facts("a", "int4", dims=1), facts("a", "text", deterministic=False)],
)
def test_types_whose_equality_is_not_that_of_their_text_are_refused(column: ColumnFacts) -> None:
    with pytest.raises(Refused, match="not compared by its text"):
        check_type({"a": column}, Equality("a", "1", '"a" = 1'))


def test_an_unknown_column_is_refused() -> None:
    [equality] = parse(" x = 1", [])
    with pytest.raises(Refused, match="At location 1: unknown reference x"):
        check_type({"a": facts("a", "int4")}, equality)  # type: ignore[arg-type]


def test_a_boolean_column_by_itself_and_constants() -> None:
    assert parse("""done AND ("Odd") AND true AND 1 = 1 AND ('a' = $1)""", ["b"]) == [
        Equality("done", "true", '"done"', bare=True),
        Equality("Odd", "true", '"Odd"', bare=True),
        Constant("true"),
        Constant("1 = 1"),
        Constant("'a' = 'b'"),
    ]
    check_type({"done": facts("done", "bool")}, Equality("done", "true", '"done"', bare=True))


def test_what_is_no_condition() -> None:
    with pytest.raises(Refused, match="WHERE clause must return a boolean"):
        parse("1", [])
    for column in (facts("n", "int4"), facts("n", "bool", dims=1)):
        with pytest.raises(Refused, match="WHERE clause must return a boolean"):
            check_type({"n": column}, Equality("n", "true", '"n"', bare=True))


@pytest.mark.parametrize(
    ("type_name", "constant", "equal", "other"),
    [
        ("int8", "5", ["5"], ["50", "-5", None]),
        ("text", "a", ["a"], ["a ", "A", "", None]),
        ("numeric", "1.50", ["1.5", "1.500", "1.50"], ["1.51", "NaN", None]),
        ("numeric", "0", ["0", "0.00"], ["0.00000000000000000001", None]),
        (
            "numeric",
            "12345678901234567890123456789012345",
            ["12345678901234567890123456789012345.0"],
            ["12345678901234567890123456789012346", None],
        ),
        ("numeric", "NaN", ["NaN"], ["0", None]),
        ("numeric", "100", ["100", "100.00"], ["1", None]),
        ("bool", "true", ["t", "true"], ["f", "false", None]),
        ("bpchar", "a", ["a", "a  "], [" a", None]),
    ],
)
def test_values_are_equal_as_in_postgres(
    type_name: str, constant: str, equal: list[str], other: list[str | None]
) -> None:
    where = compile_conditions([("x", type_name, constant)])
    assert all(where.matches({"x": value}) for value in equal)
    assert not any(where.matches({"x": value}) for value in other)
    assert not where.matches({})


def test_contradicting_equalities_match_nothing() -> None:
    where = compile_conditions([("x", "int4", "1"), ("x", "int4", "2")])
    assert where.never
    assert not where.matches({"x": "1"})


def test_agreeing_equalities_are_one() -> None:
    assert compile_conditions([("x", "numeric", "1.0"), ("x", "numeric", "1")]).matches({"x": "1.00"})
