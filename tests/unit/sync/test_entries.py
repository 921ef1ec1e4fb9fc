"""Log entries as the protocol writes them (section 1.5)."""

from typing import Any

import orjson
import pytest

from medley.contracts.offsets import Offset
from medley.contracts.shapes import Column, ShapeDefinition, ShapeRecord
from services.sync.entries import Encoder, Entry, Rotate, Transaction, marked_last
from services.sync.where import compile_conditions

TX = Transaction(lsn=26800584, xid=1234)
COLUMNS = {"id": 0, "owner": None, "note": None}


def encoder(
    pk: dict[str, int | None] | None = None,
    where: list[tuple[str, str, str]] | None = None,
    table: str = "issues",
    **definition: Any,
) -> Encoder:
    columns = tuple(Column(name=n, type_oid=25, pk_index=i) for n, i in (pk or COLUMNS).items())
    record = ShapeRecord(
        handle="h",
        definition=ShapeDefinition(schema_name="public", table=table, **definition),
        state="ready",
        relation_oid=1,
        publication_entry=1,
        columns=columns,
        protocol_schema={},
        conditions=tuple(where) if where else None,
        snapshot=(1, 1, ()),
        changes_id="c",
    )
    return Encoder(record, compile_conditions(where) if where else None)


def written(entries: list[Entry]) -> list[dict[str, Any]]:
    return [orjson.loads(entry.body) for entry in entries]


def row(id: str = "1", owner: str | None = "ann", note: str | None = None) -> dict[str, str | None]:
    return {"id": id, "owner": owner, "note": note}


def update(old: dict[str, str | None] | None, new: dict[str, str | None]) -> dict[str, Any]:
    return {"op": "update", "position": 2, "old": old, "new": new}


def test_an_insert() -> None:
    entries = encoder().entries([{"op": "insert", "position": 2, "new": row()}], TX)
    assert written(entries) == [
        {
            "key": '"public"."issues"/"1"',
            "value": row(),
            "headers": {
                "operation": "insert",
                "relation": ["public", "issues"],
                "lsn": "26800584",
                "op_position": 4,
                "txids": [1234],
            },
        }
    ]
    assert entries[0].offset == Offset(26800584, 4)


def test_an_update_has_the_key_and_what_changed() -> None:
    [entry] = written(encoder().entries([update(row(), row(note="n"))], TX))
    assert entry["value"] == {"id": "1", "note": "n"}
    assert "old_value" not in entry


def test_replica_full_has_the_whole_row_and_what_it_was() -> None:
    full = encoder(replica="full")
    [entry] = written(full.entries([update(row(), row(note="n"))], TX))
    assert (entry["value"], entry["old_value"]) == (row(note="n"), {"note": None})
    [entry] = written(full.entries([{"op": "delete", "position": 0, "old": row()}], TX))
    assert entry["value"] == row()


def test_a_delete_has_the_key() -> None:
    [entry] = written(encoder().entries([{"op": "delete", "position": 0, "old": row()}], TX))
    assert entry["value"] == {"id": "1"}


def test_a_change_of_the_key_is_a_delete_and_an_insert() -> None:
    gone, come = written(encoder().entries([update(row(), row(id="2"))], TX))
    assert (gone["headers"]["operation"], gone["headers"]["op_position"]) == ("delete", 4)
    assert (come["headers"]["operation"], come["headers"]["op_position"]) == ("insert", 5)
    assert gone["headers"]["key_change_to"] == come["key"]
    assert come["headers"]["key_change_from"] == gone["key"]


def test_an_update_of_no_selected_column_is_nothing() -> None:
    narrow = encoder(pk={"id": 0, "owner": None}, columns=("id", "owner"))
    assert narrow.entries([update(row(), row(note="n"))], TX) == []


@pytest.mark.parametrize(
    ("old", "new", "operations"),
    [
        (row(), row(note="n"), ["update"]),
        (row(owner="bob"), row(), ["insert"]),
        (row(), row(owner="bob"), ["delete"]),
        (row(owner="bob"), row(owner="eve"), []),
        (row(owner=None), row(owner=None, note="n"), []),
    ],
)
def test_rows_move_in_and_out(old: dict[str, str | None], new: dict[str, str | None], operations: list[str]) -> None:
    anns = encoder(where=[("owner", "text", "ann")])
    assert [entry["headers"]["operation"] for entry in written(anns.entries([update(old, new)], TX))] == operations


def test_a_table_without_a_key_is_keyed_by_all_columns_in_order_of_name() -> None:
    unkeyed = encoder(pk={"id": None, "owner": None, "note": None})
    [entry] = written(unkeyed.entries([{"op": "delete", "position": 0, "old": row()}], TX))
    assert entry["key"] == '"public"."issues"/"1"/_/"ann"'
    assert entry["value"] == row()


def test_the_last_entry_of_a_transaction_says_so() -> None:
    [entry] = encoder().entries([{"op": "insert", "position": 0, "new": row(note='}}"')}], TX)
    assert orjson.loads(marked_last(entry).body)["headers"]["last"] is True


def test_what_the_log_cannot_go_on_after() -> None:
    with pytest.raises(Rotate):
        encoder().entries([{"op": "truncate", "position": 0}], TX)
    with pytest.raises(Rotate):
        encoder().entries([update(None, row())], TX)
    with pytest.raises(Rotate):
        encoder().entries([{"op": "delete", "position": 0, "old": None}], TX)
    with pytest.raises(Rotate, match="9000000 bytes"):
        encoder().entries([{"op": "oversize", "position": 0, "bytes": 9_000_000}], TX)
