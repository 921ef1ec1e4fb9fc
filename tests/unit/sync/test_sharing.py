"""Who feeds which shapes: shares, announcements of two workers of one slice, and where a new owner goes on."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from medley.contracts.generations import grouped
from medley.contracts.positions import Positions
from medley.contracts.shapes import Announcement, Continued, Heartbeat, ShapeDefinition, ShapeRecord
from medley.contracts.slices import SLICES, slice_of
from services.sync.members import GONE, Members, share
from services.sync.slices import Position
from services.sync.taking_up import start


def beat(worker: str, slices: tuple[int, ...] = (), epoch: int = 1, *, leaving: bool = False) -> Heartbeat:
    return Heartbeat(worker=worker, capturing=False, slices=slices, epoch=epoch, lsn=0, shapes=0, leaving=leaving)


@given(st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=SLICES + 5))
def test_every_slice_is_one_workers_and_shares_are_even(workers: set[str]) -> None:
    shares = [share(workers, worker) for worker in workers]
    assert sorted(number for one in shares for number in one) == list(range(SLICES))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_worker_that_is_silent_or_leaves_is_gone() -> None:
    members = Members("a")
    members.heard(beat("a"), 0.0)
    members.heard(beat("b"), 0.0)
    members.heard(beat("c"), 1.0)
    assert len(members.wanted(1.0)) < SLICES / 2
    members.heard(beat("c", leaving=True), 1.5)
    assert members.wanted(1.5) == share(["a", "b"], "a")
    assert members.wanted(GONE) == tuple(range(SLICES))


def test_the_one_that_took_a_slice_last_has_it() -> None:
    members = Members("a")
    members.heard(beat("b", (0, 1), epoch=5), 0.0)
    members.heard(beat("c", (1, 2), epoch=7), 0.0)
    assert (members.owner(0, 0.0), members.owner(1, 0.0), members.owner(9, 0.0)) == ("b", "c", None)
    assert members.usurper((2, 3), 6, 0.0) == "c"
    assert members.usurper((2, 3), 8, 0.0) is None


def said(epoch: int, lsn: int, slices: tuple[int, ...] = tuple(range(SLICES))) -> Announcement:
    return Announcement(changes_id="c", epoch=epoch, slices=slices, lsn=lsn)


def test_nobody_listens_to_a_worker_that_has_lost_its_slices() -> None:
    positions = Positions()
    positions.hear(said(1, 100))
    positions.hear(said(2, 90, (3,)))
    positions.hear(said(1, 120))
    assert (positions.of("3-1"), positions.of("4-1"), positions.of_all()) == (90, 120, 90)


def test_nothing_is_promised_for_all_before_every_slice_was_heard_of() -> None:
    positions = Positions()
    positions.hear(said(1, 100, (0, 1)))
    assert positions.of_all() == 0


def at(sequence: int, *unseen: int, changes_id: str = "c") -> Position:
    return Position(changes_id=changes_id, sequence=sequence, lsn=sequence, unseen=unseen)


def test_a_new_owner_goes_on_from_the_first_position() -> None:
    found = start({0: at(9, 5), 1: at(7, 6), 2: None}, {0, 1}, "c")
    assert found is not None and (found.sequence, set(found.unseen)) == (7, {5, 6})


def test_shapes_whose_position_is_not_known_begin_with_what_is_there() -> None:
    assert start({0: at(9), 1: None}, {1}, "c") is None
    assert start({0: at(9), 1: at(8, changes_id="other")}, {1}, "c") is None
    assert start({0: None}, set(), "c") is None


def record(handle: str, table: str) -> ShapeRecord:
    return ShapeRecord(
        handle=handle,
        definition=ShapeDefinition(schema_name="public", table=table),
        state="ready",
        relation_oid=1,
        publication_entry=1,
        columns=(),
        protocol_schema={},
        conditions=None,
        snapshot=(1, 1, ()),
        changes_id="c",
    )


def test_of_two_shapes_of_one_definition_the_newer_one_goes_on() -> None:
    made = [record("17-300", "a"), record("17-400", "a"), record("18-100", "b")]
    assert {one.first.handle for one in grouped(made)} == {"17-400", "18-100"}


def later(handle: str, first: str, lsn: int, state: Literal["snapshotting", "ready"] = "ready") -> ShapeRecord:
    continued = Continued(handle=first, lsn=lsn, sequence=1, size=1)
    return record(handle, "a").model_copy(update={"continued": continued, "state": state})


def test_clients_are_given_the_last_generation_whose_snapshot_is_whole() -> None:
    made = [later("17-500", "17-300", 80), record("17-300", "a"), later("17-400", "17-300", 60)]
    (shape,) = grouped([*made, later("17-600", "17-300", 90, "snapshotting")])
    assert shape.first.handle == "17-300"
    assert [one.handle for one in shape.later] == ["17-400", "17-500"]
    assert shape.served.handle == "17-500"


def test_a_generation_of_a_shape_that_is_gone_is_none() -> None:
    assert grouped([later("17-400", "17-300", 60)]) == []
    (shape,) = grouped([later("17-400", "17-300", 60), record("17-500", "a")])
    assert shape.served.handle == "17-500"


def test_a_handle_has_the_slice_of_its_definition() -> None:
    digest = ShapeDefinition(schema_name="public", table="songs").digest()
    assert slice_of(f"{digest}-1795409638171003") == slice_of(digest) < SLICES
