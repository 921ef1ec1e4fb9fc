"""Rows of the replication stream as JSON: what Postgres sent is what a JSON reader reads."""

from struct import pack

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sync.pgoutput import UNKNOWN, Decoder, Delete, Insert, Relation, Update, Values
from services.sync.written import Changes

NAMES = ("id", 'a "name"', "100%", "größe")
TABLE = Relation(7, "public", "t", tuple((name, 25, -1) for name in NAMES))

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
plain = st.text(st.sampled_from("abc 1.5é"))
rows = st.tuples(*[st.one_of(st.none(), texts, plain)] * len(NAMES))
Row = tuple[str | None, ...]


def values(row: Row) -> Values:
    return [text.encode() if text is not None else None for text in row]


def json(row: Row) -> bytes:
    return orjson.dumps(dict(zip(NAMES, row, strict=True)))


@given(rows, rows)
def test_as_a_json_writer_writes_it(old: Row, new: Row) -> None:
    changes = Changes(TABLE)
    assert changes.of(Insert(TABLE, values(new)), 3) == b'{"op":"insert","position":3,"new":%b}' % json(new)
    assert changes.of(Delete(TABLE, values(old)), 4) == b'{"op":"delete","position":4,"old":%b}' % json(old)
    updated = b'{"op":"update","position":5,"old":%b,"new":%b}' % (json(old), json(new))
    assert changes.of(Update(TABLE, values(old), values(new)), 5) == updated


def test_what_was_not_sent_has_no_member() -> None:
    written = Changes(TABLE).of(Update(TABLE, None, [b"1", UNKNOWN, None, b"x"]), 0)
    assert orjson.loads(written) == {
        "op": "update",
        "position": 0,
        "old": None,
        "new": {"id": "1", "100%": None, "größe": "x"},
    }


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        Changes(TABLE).of(Insert(TABLE, [b"1", b"\xff", b"", b""]), 0)


def described() -> Decoder:
    decoder = Decoder()
    columns = b"".join(b"\1" + name.encode() + b"\0" + pack("!Ii", 25, -1) for name in NAMES)
    decoder.decode(b"R" + pack("!I", 7) + b"public\0t\0f" + pack("!H", len(NAMES)) + columns)
    return decoder


def sent(row: Values) -> bytes:
    """TupleData, as Postgres writes it."""
    parts = [
        b"n" if value is None else b"u" if value == UNKNOWN else b"t" + pack("!I", len(value)) + value for value in row
    ]
    return pack("!H", len(row)) + b"".join(parts)


ROW: Values = [b"1", None, b"", b"x" * 300]
SHORT: Values = [b"1", None, b"", UNKNOWN]


@pytest.mark.parametrize("place", [0, 25])
def test_rows_are_read_from_any_place(place: int) -> None:
    decoder, before, table = described(), b"\xff" * place, pack("!I", 7)
    ends_in_null: Values = [b"1", b"2", b"3", None]
    cases = [
        (b"I" + table + b"N" + sent(ROW), Insert(TABLE, ROW)),
        (b"I" + table + b"N" + sent(ends_in_null), Insert(TABLE, ends_in_null)),
        (b"U" + table + b"O" + sent(ROW) + b"N" + sent(ends_in_null), Update(TABLE, ROW, ends_in_null)),
        (b"U" + table + b"O" + sent(ROW) + b"N" + sent(SHORT), Update(TABLE, ROW, ROW)),
        (b"U" + table + b"K" + sent([b"0", None, None, None]) + b"N" + sent(SHORT), Update(TABLE, None, SHORT)),
        (b"U" + table + b"N" + sent(SHORT), Update(TABLE, None, SHORT)),
        (b"D" + table + b"O" + sent(ROW), Delete(TABLE, ROW)),
        (b"D" + table + b"K" + sent([b"1", None, None, None]), Delete(TABLE, None)),
    ]
    for message, event in cases:
        assert decoder.decode(before + message, place) == event
