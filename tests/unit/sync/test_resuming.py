"""Whether a database goes on with the history that the streams hold."""

import pytest

from services.sync.resuming import Forked, Resumed


def test_the_newest_transaction_comes_again_and_then_anything_may() -> None:
    resumed = Resumed((500, 7), confirmed=400)
    resumed.begins(450, 6)
    resumed.passed(500)
    resumed.begins(500, 7)
    resumed.begins(600, 8)
    resumed.passed(900)
    assert not resumed.forked


@pytest.mark.parametrize(("lsn", "xid"), [(500, 8), (510, 7), (900, 99)])
def test_another_one_in_its_place_is_another_history(lsn: int, xid: int) -> None:
    resumed = Resumed((500, 7), confirmed=400)
    with pytest.raises(Forked):
        resumed.begins(lsn, xid)
    assert resumed.forked


def test_nothing_in_its_place_is_another_history() -> None:
    resumed = Resumed((500, 7), confirmed=500)
    with pytest.raises(Forked):
        resumed.passed(501)


@pytest.mark.parametrize("resumed", [Resumed(None, 0), Resumed((500, 7), confirmed=501)])
def test_what_was_confirmed_does_not_come_again(resumed: Resumed) -> None:
    resumed.begins(600, 1)
    resumed.passed(700)
    assert not resumed.forked
