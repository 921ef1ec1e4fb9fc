"""What decides in `medley verify`: chains of messages, rows that are held, tallies, the pace, and where to go on."""

from pathlib import Path
from typing import Any

import pytest

from medley.cli.verify import summary
from medley.contracts import headers
from medley.contracts.row_key import RowKey
from medley.contracts.shapes import Column, Predicate, ShapeDefinition, ShapeRecord
from medley.runtime.errors import ConfigurationError
from medley.sql.visibility import Snapshot
from medley.verify.chain import Chain, Parts
from medley.verify.checkpoint import Checkpoint
from medley.verify.copies import rows_of
from medley.verify.findings import SHOWN, Finding, Tally
from medley.verify.held import Held
from medley.verify.pace import Pace
from medley.verify.places import Places
from medley.verify.reading import fitting
from medley.verify.replay import Replay, Unsettled
from medley.verify.rows import Comparison
from medley.verify.shapes import wanted
from medley.verify.verification import Report

ID, NAME = Column(name="id", type_oid=23, not_null=True, pk_index=0), Column(name="name", type_oid=25)


def record(*columns: Column, table: str = "songs", **changed: Any) -> ShapeRecord:
    facts: dict[str, Any] = {
        "handle": "1-1",
        "definition": ShapeDefinition(schema_name="public", table=table),
        "state": "ready",
        "relation_oid": 1,
        "publication_entry": 1,
        "columns": columns or (ID, NAME),
        "protocol_schema": {},
        "conditions": None,
        "snapshot": (1, 1, ()),
        "changes_id": "",
    }
    return ShapeRecord(**facts | changed)


def entry(
    operation: str, key: str, value: dict[str, str | None], lsn: int = 1, op: int = 0, **named: Any
) -> dict[str, Any]:
    told = {"operation": operation, "lsn": str(lsn), "op_position": op, "txids": [lsn], **named}
    return {"key": key, "value": value, "headers": told}


def message(after: str, *entries: dict[str, Any]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    last = entries[-1]["headers"]
    offset = f"{last['lsn']}_{last['op_position']}"
    whole = "true" if last.get("last") else "false"
    return {headers.AFTER: after, headers.OFFSET: offset, headers.LAST: whole}, list(entries)


def kinds_of(chain: Chain, *messages: tuple[dict[str, str], list[dict[str, Any]]]) -> list[Any]:
    return [found.kind for one in messages for found in chain.message(*one)] + [found.kind for found in chain.finish()]


FIRST = entry("insert", "a", {}, 10, 0, last=True)
HALF = entry("insert", "b", {}, 20, 0)
REST = entry("insert", "c", {}, 20, 2, last=True)


def test_a_whole_chain_has_nothing_to_tell() -> None:
    assert kinds_of(Chain("1-1", 100)) == []
    assert kinds_of(Chain("1-1", 100), message("0_inf", FIRST), message("10_0", HALF), message("20_0", REST)) == []


def test_a_chain_that_lacks_a_message_has_a_gap_and_no_more() -> None:
    assert kinds_of(Chain("1-1", 100), message("10_0", HALF, REST)) == ["gap"]
    assert kinds_of(Chain("1-1", 100), message("0_inf", FIRST), message("20_0", REST)) == ["gap"]


def test_a_transaction_without_an_end() -> None:
    assert kinds_of(Chain("1-1", 100), message("0_inf", HALF)) == ["unended transaction"]
    assert kinds_of(Chain("1-1", 20), message("0_inf", HALF)) == []  # not announced yet: it may be on its way
    later = entry("insert", "d", {}, 30, 0, last=True)
    assert kinds_of(Chain("1-1", 100), message("0_inf", HALF), message("20_0", later)) == ["unended transaction"]


def test_offsets_ascend_and_headers_agree_with_entries() -> None:
    again = [message("0_inf", FIRST), message("10_0", FIRST)]
    assert kinds_of(Chain("1-1", 100), *again) == ["offsets out of order"]
    named, entries = message("0_inf", FIRST)
    assert kinds_of(Chain("1-1", 100), (named | {headers.OFFSET: "10_2"}, entries)) == ["offsets out of order"]
    assert kinds_of(Chain("1-1", 100), (named | {headers.LAST: "false"}, entries)) == []
    named, entries = message("0_inf", HALF)
    assert kinds_of(Chain("1-1", 0), (named | {headers.LAST: "true"}, entries)) == ["unended transaction"]


@pytest.mark.parametrize(
    ("numbers", "final", "places"),
    [
        ([0, 1, 2], 2, []),
        ([0, 2], 2, ["part 1"]),
        ([1], 1, ["part 0"]),
        ([0], None, ["part 1"]),
        ([], None, ["part 0"]),
    ],
)
def test_parts_of_a_snapshot(numbers: list[int], final: int | None, places: list[str]) -> None:
    parts = Parts("1-1")
    told = [
        found.place
        for number in numbers
        for found in parts.message({headers.PART: str(number), headers.FINAL: "true" if number == final else "false"})
    ]
    assert told + [found.place for found in parts.finish()] == places


def test_what_a_snapshot_does_not_see_is_left_out() -> None:
    with Held(["id", "name"]) as held:
        replay = Replay(record(), Snapshot(5, 9, (7,)), held)
        for xid in (4, 7, 8, 9):
            assert list(replay.entry(entry("insert", f"k{xid}", {"id": str(xid), "name": None}, xid))) == []
        assert [key for key, _, _ in held.left()] == ["k4", "k8"]
        with pytest.raises(Unsettled):
            list(replay.entry(entry("insert", "both", {}, 8, txids=[4, 7])))


def test_with_subqueries_nothing_may_count_after_what_does_not() -> None:
    table: Any = {"oid": 2, "schema_name": "public", "name": "o", "partitioned": False, "publication_entry": 1}
    reads = Predicate(sql="true", columns=(), tables=(table | {"columns": (), "key": ()},))
    with Held(["id", "name"]) as held:
        replay = Replay(record(predicate=reads), Snapshot(5, 9, (7,)), held)
        assert not list(replay.entry(entry("insert", "a", {"id": "1", "name": None}, 7)))
        with pytest.raises(Unsettled):
            list(replay.entry(entry("insert", "b", {"id": "2", "name": None}, 8)))


def test_entries_that_do_not_fit_are_told_where_they_can_be() -> None:
    steps = [
        entry("update", "a", {"id": "1"}, 1),
        entry("insert", "a", {"id": "1", "name": "x"}, 2),
        entry("delete", "b", {"id": "2"}, 3),
    ]
    seen = Snapshot(100, 100, ())
    with Held(["id", "name"]) as held:
        replay = Replay(record(), seen, held)
        assert [found.kind for step in steps for found in replay.entry(step)] == [
            "absent row",
            "doubled entry",
            "absent row",
        ]
    changes_only = record(definition=ShapeDefinition(schema_name="public", table="songs", log="changes_only"))
    with Held(["id", "name"]) as held:
        replay = Replay(changes_only, seen, held)
        assert [found.kind for step in steps[:1] + steps[2:] for found in replay.entry(step)] == []


def test_without_a_primary_key_equal_rows_are_counted() -> None:
    one = {"id": "1", "name": "a"}
    column = Column(name="id", type_oid=23)
    with Held(["id", "name"]) as held:
        replay = Replay(record(column, NAME), Snapshot(100, 100, ()), held)
        assert not [found for _ in range(3) for found in replay.entry(entry("insert", "k", dict(one)))]
        key = RowKey("public", "songs", [column, NAME])
        comparison = Comparison("shape", "1-1", key, [column, NAME], held, "")
        held.delete("k")
        held.insert(key.of(one), dict(one))
        assert list(comparison.row(["1", "a"])) == []
        assert [found.found for found in comparison.finish()] == ["the row 2 times too often"]


def test_rows_are_compared_column_by_column() -> None:
    key = RowKey("public", "songs", [ID, NAME])
    with Held(["id", "name"]) as held:
        for number, name in (("1", "a"), ("2", None), ("3", "c" * 100)):
            row = {"id": number, "name": name}
            assert held.insert(key.of(row), dict(row))
        assert held.update('"public"."songs"/"1"', {"name": "b"})
        comparison = Comparison("shape", "1-1", key, [ID, NAME], held, "")
        assert list(comparison.row(["1", "b"])) == []
        (different,) = comparison.row(["2", ""])
        assert (different.kind, different.found, different.needed) == ("different row", "name=NULL", "name=''")
        (missing,) = comparison.row(["9", None])
        assert (missing.kind, missing.place) == ("missing row", '"public"."songs"/"9"')
        assert [found.kind for found in comparison.finish()] == ["extra row"]


def told(sequence: int, lsn: int, position: int = 0, last: bool = True) -> tuple[int, dict[str, str]]:
    named = {headers.LSN: str(lsn), headers.POSITION: str(position), headers.MSG_ID: f"{lsn}:{position}"}
    return sequence, named | {headers.LAST: "true" if last else "false"}


def test_places_of_changes() -> None:
    def found(*messages: tuple[int, dict[str, str]], written: int = 1000) -> list[Any]:
        places = Places()
        kinds = [finding.kind for one in messages for finding in places.message(*one)]
        return kinds + [finding.kind for finding in places.finish(written)]

    assert found(told(7, 10), told(8, 20, 0, False), told(9, 20, 3), told(10, 30)) == []
    assert found(told(7, 10), told(9, 20)) == ["gap"]
    assert found(told(7, 20), told(8, 10)) == ["offsets out of order"]
    assert found(told(7, 20), told(8, 20)) == ["offsets out of order"]
    assert found(told(7, 10, 0, False), told(8, 20)) == ["unended transaction"]
    assert found(told(7, 2000)) == ["future"]
    assert found((7, told(7, 10)[1] | {headers.MSG_ID: "11:0"})) == ["offsets out of order"]


def finding(place: str, kind: Any = "missing row") -> Finding:
    return Finding("shape", kind, "1-1", place, "nothing", "the row")


def test_a_difference_counts_when_it_is_found_twice() -> None:
    first, again = Tally(), Tally()
    first.all(map(finding, "abc"))
    again.all(map(finding, "bcd"))
    again.add(finding("b", "extra row"))
    assert [one.place for one in first.confirmed(again).findings()] == ["b", "c"]
    assert not Tally().confirmed(again)


def test_many_findings_are_told_as_a_number() -> None:
    first, again = Tally(), Tally()
    for number in range(3000):
        first.add(finding(str(number)))
        again.add(finding(str(-number)))
    shown = first.confirmed(again).findings()
    assert len(shown) == SHOWN + 1
    assert shown[-1].found == f"{3000 - SHOWN} more of these"


async def test_the_pace_pays_for_what_was_spent_and_saves_up_one_second() -> None:
    now, pauses = [0.0], []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    pace = Pace(100, clock=lambda: now[0], pause=pause)
    await pace.spend(50)
    now[0] = 1000
    await pace.spend(100)
    await pace.spend(100)
    assert pauses == [0.5, 1.0]
    await Pace(0, pause=pause).spend(10**9)
    assert len(pauses) == 2


def test_a_checkpoint_is_read_back_and_a_wrong_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    Checkpoint(path).reached("blobs", "7", [finding("a")])
    again = Checkpoint(path)
    assert (again.after, again.findings) == ({"blobs": "7"}, [finding("a")])
    again.finished()
    assert (Checkpoint(path).after, path.exists()) == ({}, False)
    path.write_text("[]")
    with pytest.raises(ConfigurationError, match="remove it to begin anew"):
        Checkpoint(path)
    Checkpoint(None).reached("blobs", "7", [])


TWO_ROWS = ('{"id": 1}\n\n{"id": 2}\n', ' [{"id": 1}, {"id": 2}]', '{"headers": {}, "value": {"id": 1}}\n{"id": 2}')


@pytest.mark.parametrize("text", TWO_ROWS)
def test_rows_of_a_copy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "copy"
    path.write_text(text)
    assert list(rows_of(path)) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("text", ["{", "[1]", "nothing"])
def test_a_copy_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "copy"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        list(rows_of(path))


@pytest.mark.parametrize(
    ("messages", "size", "asked"), [(8, 8 * 1024**2, 8), (8, 8 * 1024, 500), (100, 3_200_000, 131), (8, 0, 500)]
)
def test_so_many_messages_are_asked_for_as_there_is_room(messages: int, size: int, asked: int) -> None:
    assert fitting(messages, size) == asked


def test_shapes_are_chosen_by_handle_and_by_table() -> None:
    songs, lists = record(), record(table="lists", handle="2-2")
    assert wanted([songs, lists], None, None) == [songs, lists]
    assert wanted([songs, lists], None, "public.lists") == [lists]
    assert wanted([songs, lists], "1-1", "songs") == [songs]
    assert wanted([songs, lists], "1-1", "lists") == []


def test_the_last_lines() -> None:
    assert summary(Report(counts={"shapes": 2, "blobs": 3})) == ["looked at 2 shapes, 3 blobs: all equal"]
    notes = {"slot": "medley", "active": False, "retained_bytes": 3 * 1024**2}
    lines = summary(Report([finding("a")], {"shapes": 1}, notes, ["shape 1-1: gone already"]))
    assert lines == [
        "repair: shape 1-1: gone already",
        "slot medley: keeps 3.0 MiB of Postgres's log, and nobody reads from it",
        "looked at 1 shapes: 1 differ",
    ]
