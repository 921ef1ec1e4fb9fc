"""A change of the wire is a change of `schema/contracts.json`, and so is seen in review."""

from pathlib import Path

import pytest

from medley.contracts import subjects, table
from medley.contracts.offsets import BEFORE_ALL, SNAPSHOT_END, Offset

PINNED = Path(__file__).resolve().parents[3] / "schema" / "contracts.json"


def test_the_wire_is_as_pinned() -> None:
    assert table.as_json() == PINNED.read_text(), (
        "the contracts changed; if that is meant: python -m medley.contracts --json > schema/contracts.json"
    )


def test_the_table_names_every_stream_and_message() -> None:
    text = table.as_text()
    for name in (*table.contracts()["streams"], *table.contracts()["messages"]):
        assert name in text


@pytest.mark.parametrize("name", ["songs", "My Table", "a.b", "wild*card>", "größe", "per%cent", '"quoted"', "ü.ü"])
def test_any_name_of_a_table_is_one_token_and_comes_back(name: str) -> None:
    subject = subjects.changes("some schema", name)
    assert len(subject.split(".")) == 3
    assert not set(subject) & set(" *>\t\n")
    assert subjects.table_of(subject) == ("some schema", name)


def test_offsets_are_ordered_as_the_protocol_says() -> None:
    texts = ["-1", "0_0", "0_1", "0_10", "0_inf", "26800584_0", "26800584_4", "26800585_0"]
    offsets = [Offset.parse(text) for text in texts]
    assert offsets == sorted(offsets)
    assert [str(offset) for offset in offsets] == texts
    assert (offsets[0], offsets[4]) == (BEFORE_ALL, SNAPSHOT_END)


@pytest.mark.parametrize(
    "text", ["", "0", "x_1", "1_", "_1", "-2", "1_-1", "1_2_3", " 1_2", "1_2\n", "inf_0", "1e3_0", "١_٢"]
)
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an offset"):
        Offset.parse(text)
