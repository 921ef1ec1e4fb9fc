"""Keys of rows as the protocol writes them (section 1.5)."""

from medley.contracts.row_key import RowKey
from medley.contracts.shapes import Column


def columns(places: dict[str, int | None]) -> list[Column]:
    return [Column(name=name, type_oid=25, pk_index=place) for name, place in places.items()]


def test_keys_are_in_the_order_of_the_primary_key_and_escaped() -> None:
    key = RowKey("public", "a.b/c", columns({"note": 1, "id": None, "owner": 0}))
    assert key.of({"note": "x/y", "owner": 'q"', "id": "1"}) == '"public"."a..b//c"/"q""/"x//y"'
    assert key.primary == ("owner", "note")


def test_without_a_primary_key_it_is_every_column_by_name() -> None:
    key = RowKey("public", "t", columns({"note": None, "id": None}))
    assert key.of({"note": None, "id": "1"}) == '"public"."t"/"1"/_'
    assert key.primary == ()
