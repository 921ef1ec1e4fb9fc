"""Undoing changes gives what a table held before them, whatever they were."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.sync.related.asof import Image, Step, Undo, steps, undone, was_there_before

_ROWS = st.sampled_from([("1", "a"), ("1", None), ("2", "a"), ("2", "b")])


def _played(start: Counter[Image], choices: list[tuple[Image | None, Image | None]]) -> list[Step]:
    """Steps that are possible from there on: what goes was there."""
    rows = Counter(start)
    taken = []
    for old, new in choices:
        old = old if old is not None and rows[old] > 0 else None
        if old == new:
            continue
        rows.subtract([old] if old is not None else [])
        rows.update([new] if new is not None else [])
        taken.append(Step(old, new))
    return taken


def _after(start: Counter[Image], taken: list[Step]) -> Counter[Image]:
    rows = Counter(start)
    for old, new in taken:
        rows.subtract([old] if old is not None else [])
        rows.update([new] if new is not None else [])
    return +rows


def _applied(now: Counter[Image], undo: Undo) -> Counter[Image]:
    rows = Counter(now)
    rows.subtract(undo.made)
    assert all(count >= 0 for count in rows.values()), "more was taken away than is there"
    rows.update(undo.restored)
    return +rows


@given(
    st.lists(_ROWS, max_size=6), st.lists(st.tuples(st.none() | _ROWS, st.none() | _ROWS), max_size=12), st.integers(0)
)
def test_each_moment_is_found_again(
    start: list[Image], choices: list[tuple[Image | None, Image | None]], cut: int
) -> None:
    before = Counter(start)
    taken = _played(before, choices)
    own, later = taken[: cut % (len(taken) + 1)], taken[cut % (len(taken) + 1) :]
    after, now = _after(before, own), _after(before, taken)
    found = undone(own, later)
    assert _applied(now, found.before) == before
    assert _applied(now, found.after) == after
    same = _applied(now, found.same)
    assert same <= before & after
    gone = Counter(step.old for step, first in zip(own, was_there_before(own), strict=True) if first and step.old)
    assert same == before - gone
    assert set(found.delta) == {one for step in own for one in step if one is not None}


def test_changes_of_other_columns_are_none() -> None:
    changes = [
        {"op": "insert", "new": {"id": "1", "n": "1"}},
        {"op": "update", "old": {"id": "1", "n": "1"}, "new": {"id": "1", "n": "2"}},
        {"op": "delete", "old": {"id": "1", "n": "2"}},
    ]
    assert steps(changes, ["id"]) == [Step(None, ("1",)), Step(("1",), None)]
