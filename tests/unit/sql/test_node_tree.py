"""The text of a node tree is read as Postgres writes it: nodes, lists, sets of numbers, constants, escaped words."""

import pytest

from medley.sql.node_tree import Node, read, walk


def node(text: str) -> Node:
    value = read(text)
    assert isinstance(value, Node)
    return value


def test_a_node_has_a_kind_and_fields() -> None:
    assert node("{VAR :varno 1 :varattno -2 :alias <> :ok true}") == Node(
        "VAR", {"varno": "1", "varattno": "-2", "alias": None, "ok": "true"}
    )


def test_lists_may_hold_lists_words_and_nothing() -> None:
    assert read('({A} <> ("id" "two\\ words") ({B :x 1}))') == [
        Node("A", {}),
        None,
        ["id", "two words"],
        [Node("B", {"x": "1"})],
    ]


@pytest.mark.parametrize(("text", "numbers"), [("(b 8 9 11)", [8, 9, 11]), ("(o 16384)", [16384]), ("(b)", [])])
def test_sets_of_numbers(text: str, numbers: list[int]) -> None:
    tree = node("{R :set " + text + " :none <>}")
    assert (tree.numbers("set"), tree.numbers("none"), tree.numbers("absent")) == (numbers, [], [])


def test_the_bytes_of_a_constant_are_passed_over() -> None:
    tree = node("{CONST :constvalue 4 [ 1 0 0 -1 ] :location 7} ".strip())
    assert tree.fields == {"constvalue": "4", "location": "7"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (r"a\ b", "a b"),
        (r"a\(\)\{\}", "a(){}"),
        (r"a\\b", "a\\b"),
        (r"\<>", "<>"),
        (r":looks_like_a_field", ":looks_like_a_field"),
        ('""', ""),
        (r'\"quoted"', '"quoted"'),
        ("größe", "größe"),
    ],
)
def test_words_are_what_was_written(text: str, word: str) -> None:
    assert node("{T :resname " + text + " :resno 1}").fields == {"resname": word, "resno": "1"}


def test_walk_finds_every_node_the_outer_first() -> None:
    tree = read("({Q :list ({A :x {Q :list <>}} {B}) :other {C}})")
    assert [one.kind for one in walk(tree)] == ["Q", "A", "Q", "B", "C"]


def test_an_absent_number_is_nought() -> None:
    assert (node("{R :n 3 :m <>}").number("n"), node("{R :n 3 :m <>}").number("m"), node("{R}").number("k")) == (
        3,
        0,
        0,
    )


@pytest.mark.parametrize("text", ["", "{Q :x", "(", "{Q x 1}", "{Q} {Q}", ")", "{Q :x )}", "{Q :x 1 [ 2"])
def test_text_that_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a node tree"):
        read(text)
