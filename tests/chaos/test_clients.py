"""What a checked copy finds: a change that is lacking, half a transaction, one that is shown twice."""

from typing import Any

from tests.chaos.clients import CheckedCopy
from tests.chaos.shapes import SHAPES

KEY = '"chaos"."accounts"/"{}"'


def _account(number: int, balance: int, turn: int) -> dict[str, Any]:
    row = {"id": f"{number}", "grp": "0", "balance": f"{balance}", "turn": f"{turn}", "note": None, "mark": None}
    return {"key": KEY.format(number), "value": row, "headers": {"operation": "insert"}}


def _moved(number: int, balance: int, turn: int, lsn: int, position: int, *, last: bool) -> dict[str, Any]:
    marks = {"operation": "update", "lsn": str(lsn), "op_position": position, "txids": [lsn], "last": last}
    value = {"id": f"{number}", "balance": f"{balance}", "turn": f"{turn}"}
    return {"key": KEY.format(number), "value": value, "headers": marks}


def _copy() -> CheckedCopy:
    copy = CheckedCopy(SHAPES[0])
    copy.snapshot([_account(0, 0, 0), _account(4, 0, 0)])
    return copy


def test_a_whole_transfer_is_right() -> None:
    copy = _copy()
    copy.log([_moved(0, -5, 1, 10, 0, last=False), _moved(4, 5, 1, 10, 2, last=True)])
    copy.whole()
    assert copy.settled() == []


def test_half_a_transfer_is_torn() -> None:
    copy = _copy()
    copy.log([_moved(0, -5, 1, 10, 0, last=False)])
    copy.whole()
    assert [fault.split(":")[0] for fault in copy.found()] == ["torn", "torn"]


def test_a_lacking_update_shows_in_the_next_one() -> None:
    copy = _copy()
    copy.log([_moved(0, -5, 2, 10, 0, last=False), _moved(4, 5, 1, 10, 2, last=True)])
    assert "is turn 2 after 0" in copy.settled()[0]


def test_a_transaction_that_comes_twice_is_found() -> None:
    copy = _copy()
    moves = [_moved(0, -5, 1, 10, 0, last=False), _moved(4, 5, 1, 10, 2, last=True)]
    copy.log(moves)
    copy.log(moves)
    assert len(copy.settled()) >= 2
