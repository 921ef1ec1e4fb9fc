"""Which messages a shape with a subquery has already, by its snapshot, its log, or what it was fed when it joined."""

import pytest
from nats.aio.client import Client

from medley.contracts.offsets import Offset
from medley.contracts.shapes import ClauseColumn, ClauseTable, Column, Predicate, ShapeDefinition, ShapeRecord
from services.sync.entries import Transaction
from services.sync.live import Incoming, LiveShape
from services.sync.related.family import Families
from services.sync.related.follower import Follower

_ID = ClauseColumn(
    name="id", type_oid=23, modifier=-1, type_sql="integer", type_name="int4", made_of_text=False, deterministic=True
)


@pytest.fixture
def follower() -> Follower:
    """Its snapshot sees what is below 100."""
    inner = ClauseTable(
        oid=2, schema_name="public", name="t2", publication_entry=7, columns=(_ID,), key=(), partitioned=False
    )
    sql = "(id IN ( SELECT t2.id FROM public.t2))"
    record = ShapeRecord(
        handle="h",
        definition=ShapeDefinition(schema_name="public", table="t1", where="id IN (SELECT id FROM t2)"),
        state="ready",
        relation_oid=1,
        publication_entry=7,
        columns=(Column(name="id", type_oid=23),),
        protocol_schema={},
        conditions=None,
        snapshot=(100, 100, ()),
        changes_id="c",
        predicate=Predicate(sql=sql, columns=(_ID,), objects=(), tables=(inner,)),
    )
    return Follower(LiveShape(Client().jetstream(), record), Families())


def message(sequence: int, lsn: int, xid: int) -> Incoming:
    return Incoming(sequence, Transaction(lsn, xid), True, 2, [], [])


SEEN, FIRST, SECOND = message(1, 10, 90), message(2, 20, 100), message(3, 30, 101)


def test_what_its_snapshot_sees_it_has(follower: Follower) -> None:
    assert follower.had([SEEN, FIRST, SECOND]) == 1


def test_what_its_log_holds_it_has(follower: Follower) -> None:
    follower.shape.pending.last = Offset(20, 0)
    assert follower.had([SEEN, FIRST, SECOND]) == 2


def test_what_it_was_fed_when_it_joined_it_has(follower: Follower) -> None:
    follower.fed = 3
    assert follower.had([SEEN, FIRST, SECOND]) == 3


def test_messages_that_are_asked_about_again_are_what_they_were(follower: Follower) -> None:
    """Another shape's clause failed on the second transaction: all are asked about again, by halves."""
    assert follower.had([FIRST]) == 0
    assert follower.had([SEEN, FIRST]) == 1
