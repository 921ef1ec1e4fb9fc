"""What a POST's body adds to the query string (protocol section 1.1)."""

from typing import Any

import orjson
import pytest

from services.api.shape.asked import Asked, SubsetAsked
from services.api.shape.body import merged
from services.api.shape.params import Errors, Given, given, parse

QUERY = "table=t&offset=0_0&handle=h&where=a%3D1"


def asked(body: Any) -> Asked | Errors:
    found = merged(given(QUERY), orjson.dumps(body))
    return found if isinstance(found, dict) else parse(found)


SUBSET = {
    "where": "b = $1",
    "params": {"1": "x"},
    "limit": 2,
    "offset": 0,
    "order_by": "b",
    "where_expr": {"type": "f"},
}


@pytest.mark.parametrize("body", [SUBSET, {"subset": SUBSET}, {**SUBSET, "subset": {}}])
def test_a_subset_stands_at_the_top_or_below_subset(body: dict[str, Any]) -> None:
    found = asked(body)
    assert isinstance(found, Asked), found
    assert found.subset == SubsetAsked("b = $1", ("x",), 2, 0, "b")
    assert found.definition.where == "a=1", "the shape's own clause stays in the query string"
    assert found.offset_text == "0_0"


def test_other_keys_count_as_parameters_unless_the_query_string_has_them() -> None:
    found = asked({"replica": "full", "table": "other", "handle": "else", "columns": 'id,"A b"', "unknown": {"a": 1}})
    assert isinstance(found, Asked), found
    assert (found.definition.table, found.definition.replica, found.handle) == ("t", "full", "h")
    assert found.definition.columns == ("A b", "id")
    assert found.subset is None


def test_columns_may_be_a_list_of_names_as_they_are() -> None:
    found = asked({"columns": ["id", "A b", 'say "x", y'], "queryable_columns": ["id", "A b", 'say "x", y', "more"]})
    assert isinstance(found, Asked), found
    assert found.definition.columns == ("A b", "id", 'say "x", y')


@pytest.mark.parametrize("columns", [[], ["id", 7], ["id", ["a"]], {"id": True}, ["id", ""], ["id", "a\0"]])
def test_columns_that_are_no_names_are_not_taken_for_all_columns(columns: Any) -> None:
    found = asked({"columns": columns})
    assert isinstance(found, dict), found
    assert list(found) == ["columns"]


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
def test_nothing_adds_nothing(body: bytes) -> None:
    assert merged(given(QUERY), body) == given(QUERY)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"7", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"a":1}x'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    found = merged(given(QUERY), body)
    assert isinstance(found, dict)
    assert "body" in found


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"where": {"a": 1}}, "where"),
        ({"order_by": ["a"]}, "order_by"),
        ({"subset": []}, None),
        ({"limit": 0, "order_by": "a"}, "limit"),
        ({"limit": "1e3", "order_by": "a"}, "limit"),
        ({"offset": -1, "order_by": "a"}, "offset"),
        ({"offset": 1.5, "order_by": "a"}, "offset"),
        ({"limit": 1}, "order_by"),
        ({"where": "a", "params": {"2": "x"}}, "params"),
        ({"where": "a", "params": {"1": None}}, "params"),
        ({"where": "a", "params": 7}, "params"),
        ({"where": "x" * 65_537}, "where"),
        ({"where": "a\0"}, "where"),
    ],
)
def test_refusals_name_the_field(body: dict[str, Any], field: str | None) -> None:
    found = asked(body)
    assert isinstance(found, dict)
    assert field is None or field in found["subset"]
    assert list(found) == ["subset"]


def test_a_query_string_can_ask_for_a_subset_too() -> None:
    found = parse(given(QUERY + "&subset__where=b%3D%241&subset__params=%7B%221%22%3A%22x%22%7D"))
    assert isinstance(found, Asked), found
    assert found.subset == SubsetAsked("b=$1", ("x",))
    assert parse(Given({"table": "t", "offset": "-1"}, {}, None)) == parse(given("table=t&offset=-1"))
