"""A snapshot's rows are the same JSON, put into the template or written field by field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley.contracts.shapes import Column, ShapeDefinition, ShapeRecord
from services.sync.entries import Encoder
from services.sync.rows import Rows

NAMES = ("id", 'a "q"', "50 % of a/b", "ü")
ESCAPES = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
TRICKY = st.sampled_from(["", "\\N", "N", "null", "/", "a/b", '"', "\\", "\t", "\n", "\x01", "%", "%b", "\x7f", "\\."])
VALUE = TEXT | TRICKY


def shape(keys: int) -> ShapeRecord:
    columns = [Column(name=n, type_oid=25, pk_index=i if i < keys else None) for i, n in enumerate(NAMES)]
    return ShapeRecord(
        handle="h",
        definition=ShapeDefinition(schema_name="my.s/%", table='t "%b"'),
        state="ready",
        relation_oid=1,
        publication_entry=1,
        columns=tuple(columns),
        protocol_schema={},
        conditions=None,
        snapshot=(1, 1, ()),
        changes_id="c",
    )


def copied(row: list[str | None]) -> bytes:
    """As COPY writes it (PostgreSQL documentation, "COPY", Text Format)."""
    fields = ("\\N" if v is None else "".join(ESCAPES.get(c, c) for c in v) for v in row)
    return "\t".join(fields).encode()


@pytest.mark.parametrize("keys", [0, 1, 2, 4])
@given(st.data())
def test_they_are_what_the_encoder_writes(keys: int, data: st.DataObject) -> None:
    plain = st.text("abcü0 -", max_size=5)
    values = [(VALUE | plain) if place < keys else (st.none() | VALUE | plain) for place in range(len(NAMES))]
    rows = data.draw(st.lists(st.tuples(*values).map(list), min_size=1, max_size=6))
    record = shape(keys)
    encoder = Encoder(record, None)
    block = b"\n".join(map(copied, rows))
    assert Rows(record, encoder).entries(block) == [encoder.snapshot_entry(row) for row in rows]
