"""Whether a database goes on with the history that the streams hold."""

import pytest

from services.sync.changes import Identity
from services.sync.pgoutput import Begin
from services.sync.resuming import Forked, Resumed

TIME = 1_795_442_141_123_456
NEWEST = Identity.of(Begin(lsn=500, commit_time=TIME, xid=7))


def begin(lsn: int, xid: int, commit_time: int = TIME) -> Begin:
    return Begin(lsn=lsn, commit_time=commit_time, xid=xid)


def test_the_newest_transaction_comes_again_and_then_anything_may() -> None:
    resumed = Resumed(NEWEST, confirmed=400)
    resumed.begins(begin(450, 6))
    resumed.passed(500)
    resumed.begins(begin(500, 7))
    resumed.begins(begin(600, 8))
    resumed.passed(900)
    assert not resumed.forked


@pytest.mark.parametrize(("lsn", "xid", "time"), [(500, 8, TIME), (510, 7, TIME), (900, 99, TIME), (500, 7, TIME + 1)])
def test_another_one_in_its_place_is_another_history(lsn: int, xid: int, time: int) -> None:
    resumed = Resumed(NEWEST, confirmed=400)
    with pytest.raises(Forked):
        resumed.begins(begin(lsn, xid, time))
    assert resumed.forked


def test_nothing_in_its_place_is_another_history() -> None:
    resumed = Resumed(NEWEST, confirmed=500)
    with pytest.raises(Forked):
        resumed.passed(501)


@pytest.mark.parametrize("resumed", [Resumed(None, 0), Resumed(NEWEST, confirmed=501)])
def test_what_was_confirmed_does_not_come_again(resumed: Resumed) -> None:
    resumed.begins(begin(600, 1))
    resumed.passed(700)
    assert not resumed.forked
