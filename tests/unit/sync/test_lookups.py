"""Structures that find members by a value find those whose place fits it, and no others."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.conditions import Condition, Element, Equal, Leaf, Prefix, Range
from services.sync.contained import elements
from services.sync.lookups import wanted
from services.sync.router import Router
from services.sync.values import CANONICAL, ORDER
from services.sync.where import AnyOf, compile_alternatives, compile_conditions

ENDS = st.one_of(st.none(), st.tuples(st.integers(0, 12).map(str), st.booleans()))
RANGES = st.tuples(ENDS, ENDS).filter(any).map(lambda ends: Range("v", "int4", False, *ends))
LETTERS = st.text("ab%\\", max_size=4)


def holds(condition: Any, text: str) -> bool:
    match condition:
        case Range(_, _, _, low, high):
            value = int(text)
            above = low is None or value > int(low[0]) or (low[1] and value == int(low[0]))
            return above and (high is None or value < int(high[0]) or (high[1] and value == int(high[0])))
        case Prefix(_, prefix):
            return text.startswith(prefix)
        case Element(_, _, one):
            return one in elements(text)
    raise AssertionError(condition)


def compared(conditions: list[Any], gone: int, texts: list[str]) -> None:
    """What is added and partly removed again finds what a scan finds."""
    wants = [wanted(one) for one in conditions]
    if not wants:
        return
    structure = wants[0][0].structure()
    for number, (_, place) in enumerate(wants):
        structure.add(place, number)
    for number, (_, place) in enumerate(wants[:gone]):
        structure.remove(place, number)
    for text in texts:
        into: list[list[int]] = []
        structure.within(text, into)
        rest = range(min(gone, len(wants)), len(wants))
        assert sorted(n for found in into for n in found) == [n for n in rest if holds(conditions[n], text)]
        assert all(lookup.holds(place, text) == holds(conditions[n], text) for n, (lookup, place) in enumerate(wants))
    assert bool(structure) == (gone < len(wants))
    assert sorted(n for found in structure.all() for n in found) == list(range(min(gone, len(wants)), len(wants)))


@given(st.lists(RANGES, max_size=40), st.integers(0, 40), st.lists(st.integers(-1, 13).map(str), max_size=8))
def test_ranges(conditions: list[Condition], gone: int, texts: list[str]) -> None:
    # One that holds nothing is never put into a structure.
    fit = [one for one in conditions if compile_conditions([one]).never is False]
    compared([one for one in fit if not (one.low and one.high and int(one.low[0]) > int(one.high[0]))], gone, texts)  # type: ignore[union-attr]


@given(st.lists(LETTERS.map(lambda text: Prefix("v", text)), max_size=20), st.integers(0, 20), st.lists(LETTERS))
def test_prefixes(conditions: list[Condition], gone: int, texts: list[str]) -> None:
    compared(conditions, gone, texts)


@given(
    st.integers(0, 12), st.lists(st.lists(st.sampled_from(["a", "b c", 'd"', "NULL", "e\\"]), max_size=3), max_size=6)
)
def test_elements(gone: int, arrays: list[list[str]]) -> None:
    members = ["a", "b c", 'd"', "NULL", "e\\", "x"]
    written = ["{" + ",".join(json.dumps(one) for one in array) + "}" for array in arrays]
    compared([Element("v", "text", one) for one in members], gone, written)


def test_intervals_of_many_are_found_without_a_scan() -> None:
    """Ten thousand neighbours: a value looks at some dozens of nodes."""
    conditions = [Range("v", "int4", False, (str(n), True), (str(n), True)) for n in range(10_000)]
    lookup, _ = wanted(conditions[0])
    structure = lookup.structure()
    looked = 0

    class Counted(int):
        def __ge__(self, other: object) -> bool:
            nonlocal looked
            looked += 1
            return int.__ge__(self, other)  # type: ignore[operator]

    for number in range(10_000):
        end = (0, Counted(number), 0)
        structure.add((end, end), number)
    into: list[list[int]] = []
    structure.within("5000", into)
    assert into == [[5000]]
    assert 0 < looked < 400


ORDERED = {
    "numeric": ["-Infinity", "-2", "0", "0.001", "1.50", "12345678901234567890.123", "Infinity", "NaN"],
    "float8": ["-Infinity", "-1.5", "0", "1e-300", "0.1", "1e+300", "Infinity", "NaN"],
    "date": ["-infinity", "4713-01-01 BC", "0044-03-15 BC", "0001-01-01", "2026-01-01", "12026-01-01", "infinity"],
    "timestamp": ["-infinity", "0001-01-01 00:00:00 BC", "2026-01-01 10:00:00", "2026-01-01 10:00:00.1", "infinity"],
    "timestamptz": ["0001-12-31 23:00:00.5+00 BC", "2026-01-01 10:00:00+00", "2026-01-01 10:00:00.123456+00"],
    "int8": ["-9223372036854775808", "-5", "9", "10", "9223372036854775807"],
    "bytea": ["\\x", "\\x00", "\\x00ff", "\\x41", "\\xff"],
    "bool": ["f", "t"],
}


@pytest.mark.parametrize("kind", ORDERED)
def test_order(kind: str) -> None:
    keys = [ORDER[kind](text) for text in ORDERED[kind]]
    assert all(one < other for one, other in pairwise(keys))


def test_equal_floats_have_equal_keys() -> None:
    key = CANONICAL["float8"]
    assert key("-0") == key("0") and key("NaN") == key("NaN") and key("1.5") == key("1.50")


@pytest.mark.parametrize(
    ("document", "place", "found"),
    [
        ('{"a": 1.0}', (("a",), "1"), True),
        ('{"a": [1, "x"]}', (("a",), "x"), True),
        ('{"a": {"b": null}}', (("a", "b"), "null"), True),
        ('{"a": {"b": true}}', (("b",), "true"), False),
        ('["x"]', ((), "x"), True),
        ('"x"', ((), "x"), True),
        ('{"a": {"x": 1}}', (("a",), "x"), False),
        ("[" * 100_000 + "]" * 100_000, (("a",), "x"), True),
    ],
)
def test_documents(document: str, place: tuple[tuple[str, ...], str], found: bool) -> None:
    lookup, _ = wanted(Leaf("v", *place))
    structure = lookup.structure()
    structure.add(place, "shape")
    into: list[list[str]] = []
    structure.within(document, into)
    assert bool(into) is found
    structure.remove(place, "shape")
    assert not structure


class Shape:
    def __init__(self, where: AnyOf) -> None:
        self.where = where


def test_a_shape_with_the_same_place_twice_is_found_once_and_forgotten() -> None:
    low, high = Range("v", "int4", False, ("1", True), None), Range("v", "int4", False, None, ("9", True))
    both = (Equal("e", "int4", "1"), low, high)
    shape = Shape(compile_alternatives([(*both, Prefix("t", "a")), (*both, Prefix("t", "a"), Prefix("t", "ab"))]))
    router: Router[Shape] = Router()
    router.add(1, shape)
    assert router.concerned(1, {"e": "1", "v": "5", "t": "abc"}) == [shape]
    assert router.concerned(1, {"e": "2", "v": "5", "t": "abc"}) == []
    router.remove(1, shape)
    assert [*router.whole(1), *router.routed(1)] == []


def test_a_range_and_a_value_of_one_column() -> None:
    low = Range("v", "int4", False, ("5", False), None)
    assert compile_conditions([Equal("v", "int4", "5"), low]).never
    assert compile_conditions([Equal("v", "int4", "6"), low]).matches({"v": "6"})
