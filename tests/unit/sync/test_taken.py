"""Whether a transaction lets go of a key that it has brought."""

from collections.abc import Sequence

import orjson
import pytest

from medley.contracts.offsets import Offset
from services.sync import taken
from services.sync.entries import Entry, Rotate
from services.sync.taken import Taken


def entries(*told: tuple[str, str], lsn: int = 7) -> list[Entry]:
    return [
        Entry(Offset(lsn, 2 * place), orjson.dumps({"key": key, "value": {}, "headers": {"operation": operation}}))
        for place, (operation, key) in enumerate(told)
    ]


@pytest.mark.parametrize(
    "told",
    [
        [("delete", "1"), ("insert", "1")],
        [("insert", "1"), ("update", "1")],
        [("insert", "1"), ("delete", "2")],
    ],
)
def test_what_goes_on(told: Sequence[tuple[str, str]]) -> None:
    Taken().check(entries(*told))


def test_a_key_that_came_and_goes() -> None:
    keys = Taken()
    keys.check(entries(("delete", "1"), ("insert", "2")))
    with pytest.raises(Rotate):
        keys.check(entries(("delete", "2")))


def test_another_transaction_may_let_go_of_it() -> None:
    keys = Taken()
    keys.check(entries(("insert", "1")))
    keys.check(entries(("delete", "1"), lsn=8))


def test_what_is_not_remembered_may_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "_MOST", 2)
    keys = Taken()
    keys.check(entries(*(("insert", str(number)) for number in range(3))))
    with pytest.raises(Rotate):
        keys.check(entries(("delete", "2")))
    keys.check(entries(("delete", "2"), lsn=8))
