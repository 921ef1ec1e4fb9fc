"""Messages of CHANGES, the pending log, visibility, and confirmation: the small decisions of sync."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from medley.contracts.offsets import Offset
from medley.sql.visibility import Snapshot
from services.sync.capture import Confirmation
from services.sync.changes import Assembler, Message, Place, last_of
from services.sync.entries import Entry
from services.sync.pgoutput import Begin, Commit, Delete, Insert, Relation, Truncate
from services.sync.shape_log import Pending, messages

SONGS = Relation(1, "public", "songs", (("id", 23, -1),))
BLOBS = Relation(2, "public", "blobs", (("id", 23, -1),))


def assemble(
    limit: int,
    *changes: Insert | Delete | Truncate,
    lsn: int = 500,
    largest: int = 100_000,
    stored: Place = (0, -1),
) -> list[Message]:
    assembler = Assembler(limit, largest, stored, "era")
    assembler.begin(Begin(lsn, 1_700_000_000_000_000, 77))
    made = [message for change in changes for message in assembler.change(change)]
    return [*made, *assembler.commit(Commit(lsn, lsn + 8))]


def insert(relation: Relation, id: int) -> Insert:
    return Insert(relation, [b"%d" % id])


def test_one_message_for_each_table_run_and_the_last_says_so() -> None:
    made = assemble(10_000, insert(SONGS, 1), insert(SONGS, 2), insert(BLOBS, 1), insert(SONGS, 3))
    assert [message.subject for message in made] == [
        "changes.public.songs",
        "changes.public.blobs",
        "changes.public.songs",
    ]
    assert [message.headers["Medley-Last"] for message in made] == ["false", "false", "true"]
    assert [message.headers["Medley-Position"] for message in made] == ["0", "2", "3"]
    assert [message.headers["Nats-Msg-Id"] for message in made] == ["500:0:era", "500:2:era", "500:3:era"]
    body = orjson.loads(made[0].payload)
    assert (body["lsn"], body["xid"], body["table"]) == ("500", 77, "songs")
    assert body["changes"] == [
        {"op": "insert", "position": 0, "new": {"id": "1"}},
        {"op": "insert", "position": 1, "new": {"id": "2"}},
    ]


def test_a_large_transaction_is_split_the_same_way_each_time() -> None:
    changes = [insert(SONGS, number) for number in range(1000)]
    made = assemble(2_000, *changes)
    assert len(made) > 10
    assert all(len(message.payload) < 2_500 for message in made)
    assert [m.payload for m in made] == [m.payload for m in assemble(2_000, *changes)]
    positions = [change["position"] for message in made for change in orjson.loads(message.payload)["changes"]]
    assert positions == list(range(1000))


def test_a_truncate_names_every_table() -> None:
    made = assemble(10_000, Truncate((SONGS, BLOBS)))
    assert [orjson.loads(message.payload)["changes"][0]["op"] for message in made] == ["truncate", "truncate"]


def test_an_empty_transaction_gives_no_message() -> None:
    assert assemble(10_000) == []


def test_after_a_crash_the_rest_is_made_however_the_messages_were_cut_before() -> None:
    changes = [insert(SONGS, number) for number in range(1000)]
    for stop in (1, 5):
        before = assemble(2_000, *changes)[:stop]
        after = assemble(5_000, *changes, stored=last_of(before[-1].payload)[0])
        found = [c["position"] for m in (*before, *after) for c in orjson.loads(m.payload)["changes"]]
        assert found == list(range(1000))
        assert len({message.id for message in (*before, *after)}) == len(before) + len(after)
    assert assemble(2_000, *changes, stored=(500, 999)) == []
    assert assemble(2_000, *changes, stored=(501, 0)) == []


def test_a_change_that_fits_no_message_leaves_a_word_in_its_place() -> None:
    [message] = assemble(10_000, insert(SONGS, 1), Insert(SONGS, [b"x" * 5000]), insert(SONGS, 3), largest=4000)
    assert [change["op"] for change in orjson.loads(message.payload)["changes"]] == ["insert", "oversize", "insert"]


def entry(tx: int, op: int, body: bytes = b'{"headers":{}}') -> Entry:
    return Entry(Offset(tx, op), b'{"k":1,"headers":{"o":1}}' if body == b"" else body)


def test_what_the_log_holds_is_not_taken_in_again() -> None:
    pending = Pending(after=Offset(10, 4))
    assert not pending.add([entry(10, 2), entry(10, 4)])
    assert pending.add([entry(10, 5), entry(11, 0)])
    pending.transaction_ends()
    whole, begun = pending.take()
    assert ([e.offset for e in whole], begun) == ([(10, 5), (11, 0)], [])


def test_inside_a_transaction_the_newest_entry_stays_behind() -> None:
    pending = Pending()
    pending.add([entry(10, 0, b""), entry(10, 2, b"")])
    whole, begun = pending.take()
    assert ([e.offset.op for e in begun], whole) == ([0], [])
    pending.transaction_ends()
    whole, begun = pending.take()
    assert ([e.offset.op for e in whole], begun) == ([2], [])
    assert b'"last":true' in whole[0].body


def test_a_whole_transaction_is_not_held_back_by_the_one_that_has_begun() -> None:
    """Readers see nothing of a message that is not the end of a transaction, and the position is beyond the first."""
    pending = Pending()
    pending.add([entry(10, 0, b""), entry(10, 2, b"")])
    pending.transaction_ends()
    pending.add([entry(11, 0, b"")])
    assert [[e.offset for e in some] for some in pending.take()] == [[(10, 0), (10, 2)], []]
    pending.add([entry(11, 2, b""), entry(11, 4, b"")])
    assert [[e.offset for e in some] for some in pending.take()] == [[], [(11, 0), (11, 2)]]


def test_a_large_append_is_split_and_nothing_is_left_out() -> None:
    entries = [entry(1, op, b"x" * 300) for op in range(10)]
    runs = list(messages(entries, limit=1000))
    assert [e for run in runs for e in run] == entries
    assert all(len(run) <= 3 for run in runs)


def test_visibility() -> None:
    seen = Snapshot.parse("100:110:103,105")
    assert [xid for xid in range(98, 113) if not seen.sees(xid)] == [103, 105, 110, 111, 112]


def test_visibility_around_the_end_of_the_32_bits() -> None:
    wrap = 1 << 32
    seen = Snapshot(wrap * 5 - 2, wrap * 5 + 3, (wrap * 5 - 1, wrap * 5 + 1))
    stream = [(wrap * 5 + delta) & (wrap - 1) for delta in (-3, -2, -1, 0, 1, 2, 3)]
    assert [seen.sees(xid) for xid in stream] == [True, True, False, True, False, True, False]


@given(
    xmax=st.integers(min_value=1 << 31, max_value=1 << 45),
    back=st.integers(min_value=-1000, max_value=(1 << 31) - 1001),
)
def test_a_32_bit_id_is_lifted_to_the_right_epoch(xmax: int, back: int) -> None:
    whole = xmax - 1 - back
    assert Snapshot(xmax, xmax, ()).sees(whole & ((1 << 32) - 1)) == (whole < xmax)


def test_an_lsn_is_confirmed_once_it_is_old_enough() -> None:
    confirmation = Confirmation(delay=2)
    confirmation.acked(100, now=10.0)
    confirmation.acked(200, now=11.0)
    assert [confirmation.due(now) for now in (11.0, 12.0, 12.5, 13.0, 99.0)] == [0, 100, 100, 200, 200]
