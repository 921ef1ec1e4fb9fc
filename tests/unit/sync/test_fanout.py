"""What fan-out decides while a shape is opened: nothing held is lost, and transactions end where they end."""

import orjson
from nats.aio.client import Client

from medley.contracts.offsets import Offset
from medley.contracts.shapes import Column, ShapeDefinition, ShapeRecord
from services.sync import joining
from services.sync.announcements import Announced, Announcements
from services.sync.entries import Transaction
from services.sync.fanout import Fanout
from services.sync.live import Incoming, LiveShape
from services.sync.registry import Registry
from services.sync.slices import Slices

COLUMNS = [["id", 23, -1]]


def record(handle: str = "h", oid: int = 1, xmax: int = 100) -> ShapeRecord:
    return ShapeRecord(
        handle=handle,
        definition=ShapeDefinition(schema_name="public", table=f"t{oid}"),
        state="snapshotting",
        relation_oid=oid,
        publication_entry=7,
        columns=(Column(name="id", type_oid=23, pk_index=0),),
        protocol_schema={},
        conditions=None,
        snapshot=(xmax, xmax, ()),
        changes_id="c",
    )


def incoming(sequence: int, lsn: int, id: int, *, oid: int = 1, last: bool = True, xid: int | None = None) -> Incoming:
    change = {"op": "insert", "position": id, "new": {"id": str(id)}}
    return Incoming(sequence, Transaction(lsn, xid or lsn), last, oid, COLUMNS, [change])


def fanout() -> Fanout:
    """With a client that is not connected: what is tested decides, and sends nothing."""
    client = Client()
    js = client.jetstream()
    registry = Registry(js, None, None)  # type: ignore[arg-type]
    slices = Slices(None, "w", 1, {0: (0, None)})  # type: ignore[arg-type]
    return Fanout(client, registry, Announcements(js, slices, "c", Announced({}), 0), "c")


def lasts(shape: LiveShape) -> list[tuple[int, bool]]:
    whole, begun = shape.pending.take()
    entries = [*whole, *begun]
    found = [orjson.loads(entry.body)["headers"] for entry in entries]
    return [(int(headers["lsn"]), headers.get("last", False)) for headers in found]


def open_with(worker: Fanout, held: list[Incoming]) -> LiveShape:
    shape = LiveShape(worker.js, record())
    joining.catch_up(worker, shape, held)
    worker.add(shape)
    return shape


def test_each_held_transaction_ends_where_the_next_begins() -> None:
    """The end of the first was a message of another table, which was not held."""
    shape = open_with(fanout(), [incoming(1, 200, 1, last=False), incoming(3, 210, 1), incoming(4, 220, 1, last=False)])
    assert lasts(shape) == [(200, True), (210, True), (220, True)]


def test_the_transaction_that_fan_out_is_inside_of_ends_with_its_own_last_message() -> None:
    worker = fanout()
    first = incoming(1, 200, 1, last=False)
    with worker.holds.holding({1}) as held:
        worker._process(first)
        shape = open_with(worker, held)
    assert lasts(shape) == []
    worker._process(incoming(2, 200, 9, oid=2, last=True))
    assert lasts(shape) == [(200, True)]


def test_what_the_snapshot_sees_is_not_given_again() -> None:
    shape = open_with(fanout(), [incoming(1, 200, 1, xid=99), incoming(2, 210, 1, xid=100)])
    assert lasts(shape) == [(210, True)]


def test_a_repeated_message_changes_nothing_and_a_missing_one_ends_the_shapes() -> None:
    worker = fanout()
    worker.add(LiveShape(worker.js, record("one")))
    worker._process(incoming(1, 200, 1))
    worker._process(incoming(1, 200, 1))
    assert worker.shapes["one"].pending.last == Offset(200, 2)
    worker._process(incoming(3, 220, 1))
    assert worker.shapes == {}


def test_shapes_are_found_by_the_table_itself_not_by_its_name() -> None:
    worker = fanout()
    worker.add(LiveShape(worker.js, record("one", oid=1)))
    worker.add(LiveShape(worker.js, record("two", oid=2)))
    worker._process(incoming(1, 200, 1, oid=2))
    assert lasts(worker.shapes["one"]) == []
    assert lasts(worker.shapes["two"]) == [(200, True)]


def test_of_two_openings_of_one_table_each_holds_its_own() -> None:
    worker = fanout()
    with worker.holds.holding({1}) as first:
        with worker.holds.holding({1}) as second:
            pass
        worker._process(incoming(1, 200, 1))
    worker._process(incoming(2, 210, 1))
    assert ([each.sequence for each in first], second) == ([1], [])


def test_a_shape_opened_while_nothing_happens_holds_nothing_up() -> None:
    worker = fanout()
    open_with(worker, [])
    assert worker.appends.touched == {}
