"""COPY's text is read back as the values that were written."""

from hypothesis import given
from hypothesis import strategies as st

from medley.sql.copy_text import fields


def copied(values: list[str | None]) -> str:
    """COPY's text format, from the documentation: what Postgres would write."""
    escapes = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    return "\t".join("\\N" if v is None else "".join(escapes.get(c, c) for c in v) for v in values)


@given(st.lists(st.none() | st.text(st.sampled_from("\\\\\\Nntbx\t\n\r\b\f\v ü'\"")), min_size=1))
def test_copy_is_read_as_it_was_written(values: list[str | None]) -> None:
    assert fields(copied(values)) == values
