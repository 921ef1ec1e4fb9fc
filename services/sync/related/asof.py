"""What a table held at an earlier moment, as its rows of now and the changes since. Pure.

A row is known by the image of its columns that matter: text as Postgres writes it. Equal images are the same to who
asks, so a table without a primary key is a multiset of them, and a change that alters no image is none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Image = tuple[str | None, ...]


class Step(NamedTuple):
    """One change of a table: the row that went, and the row that came; never equal."""

    old: Image | None
    new: Image | None


@dataclass(slots=True)
class Undo:
    """What to take away from the rows of now, and what to put back, to have those of before the steps."""

    made: Counter[Image] = field(default_factory=Counter)
    restored: list[Image] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.made or self.restored)


class Undone(NamedTuple):
    """A table at three moments. `delta`: the images that went or came between `before` and `after`; `same`: what was
    there all the time between these two."""

    before: Undo
    after: Undo
    same: Undo
    delta: tuple[Image, ...]


def image(row: Mapping[str, str | None], columns: Sequence[str]) -> Image:
    return tuple(row.get(name) for name in columns)


def steps(changes: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> list[Step]:
    """Of inserts, updates and deletes, those that alter an image."""
    found = []
    for change in changes:
        old, new = change.get("old"), change.get("new")
        step = Step(image(old, columns) if old is not None else None, image(new, columns) if new is not None else None)
        if step.old != step.new:
            found.append(step)
    return found


def undone(own: Sequence[Step], later: Sequence[Step]) -> Undone:
    """`own` lead from before to after, `later` from after to now."""
    after, _ = _undo(later, len(later))
    before, untouched = _undo([*own, *later], len(own))
    delta = dict.fromkeys(one for step in own for one in step if one is not None)
    return Undone(before, after, Undo(before.made, untouched), tuple(delta))


def _undo(taken: Sequence[Step], first: int) -> tuple[Undo, list[Image]]:
    """And of what is put back, that which went in a step from number `first` on."""
    found = Undo()
    untouched = []
    for number, (old, new) in enumerate(taken):
        if old is not None:
            if found.made[old] > 0:
                found.made[old] -= 1
            else:
                found.restored.append(old)
                if number >= first:
                    untouched.append(old)
        if new is not None:
            found.made[new] += 1
    found.made = +found.made
    return found, untouched


def was_there_before(taken: Sequence[Step]) -> list[bool]:
    """For each step, whether its old row was there before the first of them."""
    made: Counter[Image] = Counter()
    found = []
    for old, new in taken:
        found.append(old is not None and made[old] == 0)
        if old is not None and made[old] > 0:
            made[old] -= 1
        if new is not None:
            made[new] += 1
    return found
