"""What is read off a node tree, and what of it is allowed."""

from typing import Any

from medley.clauses.allowed import refused_use
from medley.clauses.analysed import Uses, uses

CONST = "{CONST :consttype 23 :consttypmod -1 :constisnull false :location 7 :constvalue 4 [ 1 0 0 0 0 0 0 0 ]}"
VAR = "{VAR :varno 1 :varattno 2 :vartype 1184 :vartypmod -1 :varattnosyn 2 :location 0}"
EQUAL = f"{{OPEXPR :opno 96 :opfuncid 65 :opresulttype 16 :opretset false :args ({VAR} {CONST}) :location 5}}"


def used(**changed: Any) -> Uses:
    none: frozenset[Any] = frozenset()
    fine = Uses(none, none, none, none, made=none, converts_text=False, system_columns=False, may_fail=False)
    return Uses(**{**{name: getattr(fine, name) for name in Uses.__slots__}, **changed})


def function(signature: str, **changed: Any) -> dict[str, Any]:
    kept = {"volatility": "s", "is_set": False, "leakproof": False, "builtin": True, "executable": True}
    return {"signature": signature, **kept, **changed}


def kind(name: str, **changed: Any) -> dict[str, Any]:
    kept = {"output": "out", "output_volatility": "i", "input": "in", "input_volatility": "i"}
    return {"name": name, "is_made": False, "is_catalogued": False, **kept, **changed}


def test_functions_operators_and_types_are_found() -> None:
    found = uses(EQUAL)
    assert [*map(set, (found.functions, found.operators, found.types))] == [{65}, {96}, {16, 23, 1184}]
    assert not (found.strange or found.converts_text or found.system_columns or found.may_fail)


def test_rows_are_compared_by_several_operators() -> None:
    assert uses("{ROWCOMPAREEXPR :rctype 1 :opnos (o 97 664) :largs <>}").operators == {97, 664}


def test_conversions_and_system_columns_are_seen() -> None:
    found = uses(f"{{COERCEVIAIO :arg {VAR.replace('varattno 2', 'varattno -6')} :resulttype 25 :location 1}}")
    assert found.converts_text
    assert found.system_columns
    assert found.may_fail
    assert [*map(set, (found.made, found.types))] == [{25}, {25, 1184}]


def test_a_node_that_nobody_knows_is_strange() -> None:
    assert uses("{NULLTEST :arg {SUBLINK :subLinkType 0}}").strange == {"SUBLINK"}
    assert refused_use(uses("{SUBLINK }"), [], []) == "sublink is not supported in a where clause"


def test_stable_functions_are_allowed_by_name_and_only_those_of_postgres() -> None:
    concat = function('concat("any")')
    assert refused_use(used(), [concat], []) is None
    assert "not immutable" in str(refused_use(used(), [{**concat, "builtin": False}], []))
    assert "not immutable" in str(refused_use(used(), [{**concat, "volatility": "v", "signature": "now()"}], []))
    assert "permission denied" in str(refused_use(used(), [function("f()", volatility="i", executable=False)], []))
    assert "returns a set" in str(refused_use(used(), [function("f()", volatility="i", is_set=True)], []))


def test_types_matter_where_values_become_text() -> None:
    money = kind("money", output="cash_out", output_volatility="s")
    assert refused_use(used(), [], [money]) is None
    assert "turned into text" in str(refused_use(used(converts_text=True), [], [money]))
    assert "turned into text" in str(refused_use(used(), [function('concat("any")')], [money]))
    day = kind("date", output="date_out", output_volatility="s", input="date_in", input_volatility="s")
    assert refused_use(used(converts_text=True), [], [day]) is None
    assert "clock" in str(refused_use(used(converts_text=True), [], [{**day, "is_made": True}]))
