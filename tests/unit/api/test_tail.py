"""The tail shows whole transactions only, remembers in order, and lets go of those who wait."""

import asyncio
from functools import partial

import orjson

from medley.contracts.offsets import SNAPSHOT_END, Offset
from services.api.shape.store import Piece
from services.api.shape.tail import Tail


def piece(sequence: int, after: Offset, offset: Offset, last: bool = True) -> Piece:
    body = orjson.dumps([{"headers": {"lsn": str(offset.tx), "op_position": offset.op}}])
    return Piece(sequence, after, offset, last, body)


A, B, C = Offset(10, 0), Offset(11, 0), Offset(12, 0)


async def test_pieces_in_a_row_are_served_from_memory() -> None:
    tail = Tail()
    tail.load(None)
    for each in (piece(1, SNAPSHOT_END, A), piece(2, A, B), piece(3, B, C)):
        assert tail.append(each) > 0
    assert [p.sequence for p in tail.since(SNAPSHOT_END) or ()] == [1, 2, 3]
    assert [p.sequence for p in tail.since(A) or ()] == [2, 3]
    assert tail.since(C) == []
    assert tail.end == C


async def test_a_repeated_piece_is_known() -> None:
    tail = Tail()
    tail.append(piece(1, SNAPSHOT_END, A))
    assert tail.append(piece(1, SNAPSHOT_END, A)) == 0


async def test_half_a_transaction_is_not_shown() -> None:
    tail = Tail()
    tail.load(piece(1, SNAPSHOT_END, A))
    tail.append(piece(2, A, Offset(11, 0), last=False))
    assert (tail.end, tail.since(A)) == (A, [])
    tail.append(piece(3, Offset(11, 0), Offset(11, 2)))
    assert tail.end == Offset(11, 2)
    assert [p.sequence for p in tail.since(A) or ()] == [2, 3]


async def test_a_gap_sends_the_reader_to_the_stream() -> None:
    tail = Tail()
    tail.append(piece(1, SNAPSHOT_END, A))
    tail.append(piece(3, B, C))
    assert tail.since(SNAPSHOT_END) is None
    assert [p.sequence for p in tail.since(B) or ()] == [3]


async def test_memory_can_be_given_back() -> None:
    tail = Tail()
    tail.append(piece(1, SNAPSHOT_END, A))
    tail.append(piece(2, A, B))
    assert tail.forget_oldest() > 0
    assert tail.since(SNAPSHOT_END) is None
    assert [p.sequence for p in tail.since(A) or ()] == [2]


async def test_an_older_end_does_not_undo_a_newer_one() -> None:
    tail = Tail()
    tail.append(piece(2, A, B))
    tail.load(piece(1, SNAPSHOT_END, A))
    assert (tail.end, tail.end_sequence, tail.loaded) == (B, 2, True)


async def test_who_waits_is_told_of_changes_and_of_the_end() -> None:
    tail = Tail()
    waiting, also, left = tail.waiter(), tail.waiter(), tail.waiter()
    tail.forget(left)
    tail.append(piece(1, SNAPSHOT_END, A))
    assert (waiting.done(), also.done(), left.done()) == (True, True, False)
    again = tail.waiter()
    tail.leave()
    assert again.done()
    assert tail.gone


async def test_who_wants_to_be_called_is_called_once_and_soon() -> None:
    tail = Tail()
    called: list[int] = []
    back = [tail.call(number, partial(called.append, number)) for number in range(200)]
    back[3]()
    tail.append(piece(1, SNAPSHOT_END, A))
    assert called[:4] == [0, 1, 2, 4]
    back[199]()
    for _ in range(200 // 64 + 1):
        await asyncio.sleep(0)  # between them, others have their turn
    tail.append(piece(2, A, B))
    await asyncio.sleep(0)
    assert called == [number for number in range(199) if number != 3]
