"""The slices that a worker has taken: records in bucket `sync` that only their owner changes.

Whoever changes a record of a slice that another one has taken since is refused by its revision, and stops. The logs of
shapes need no more than that: two workers that feed one shape for a moment write the same entries, and the expected
sequence of an append lets only one of them.
"""

import asyncio
import time
from collections.abc import Iterable

from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import BaseModel

from medley.runtime.errors import Transient

_TRIES = 5


class Position(BaseModel):
    """Everything in CHANGES up to `sequence` has been appended to every shape that it concerns."""

    changes_id: str
    sequence: int
    lsn: int
    place: int = 0
    """LSN of the transaction whose last message has this sequence; 0 where there is none."""
    unseen: tuple[int, ...] = ()
    """Transactions at or before it that a new shape's snapshot must see (`Unseen`)."""


class SliceRecord(BaseModel):
    """Bucket `sync`, key `slice.<number>`: who feeds its shapes, and from where the next one would."""

    owner: str
    epoch: int
    position: Position | None = None


class SliceLost(Transient):
    """Another worker has taken the slice."""


class Slices:
    """Those of one term. `positions`: as they were found."""

    def __init__(self, state: KeyValue, owner: str, epoch: int, found: dict[int, tuple[int, Position | None]]) -> None:
        self._state = state
        self._owner = owner
        self.epoch = epoch
        self.numbers = tuple(sorted(found))
        self.positions = {number: position for number, (_, position) in found.items()}
        self._revisions = {number: revision for number, (revision, _) in found.items()}

    @classmethod
    async def take(cls, state: KeyValue, owner: str, numbers: Iterable[int], after: int) -> "Slices":
        """From whoever has them. The epoch is higher than `after`, and than those before. Raises SliceLost."""
        wanted = tuple(numbers)
        for _ in range(_TRIES):
            records = dict(zip(wanted, await asyncio.gather(*(_read(state, number) for number in wanted)), strict=True))
            known = [record.epoch for _, record in records.values() if record is not None]
            epoch = max(time.time_ns() // 1000, after + 1, *(one + 1 for one in known), 1)
            try:
                taken = await asyncio.gather(
                    *(
                        _write(state, number, revision, owner, epoch, record.position if record is not None else None)
                        for number, (revision, record) in records.items()
                    )
                )
            except KeyWrongLastSequenceError:
                continue
            return cls(state, owner, epoch, dict(zip(wanted, taken, strict=True)))
        raise SliceLost("other workers take the same slices at the same time")

    async def save(self, position: Position) -> None:
        """From where the next owner would go on. Raises SliceLost."""
        try:
            written = await asyncio.gather(
                *(
                    _write(self._state, number, revision, self._owner, self.epoch, position)
                    for number, revision in self._revisions.items()
                )
            )
        except KeyWrongLastSequenceError as error:
            raise SliceLost("another worker has taken a slice") from error
        self._revisions = {number: revision for number, (revision, _) in zip(self._revisions, written, strict=True)}

    async def check(self, number: int) -> None:
        """Whether the slice is still this worker's. Raises SliceLost."""
        _, record = await _read(self._state, number)
        if record is None or record.epoch != self.epoch:
            raise SliceLost("another worker has taken the slice")


async def _read(state: KeyValue, number: int) -> tuple[int, SliceRecord | None]:
    try:
        entry = await state.get(f"slice.{number}")
    except KeyNotFoundError:
        return 0, None
    return entry.revision or 0, SliceRecord.model_validate_json(entry.value or b"")


async def _write(
    state: KeyValue, number: int, revision: int, owner: str, epoch: int, position: Position | None
) -> tuple[int, Position | None]:
    record = SliceRecord(owner=owner, epoch=epoch, position=position).model_dump_json().encode()
    return await state.update(f"slice.{number}", record, last=revision), position
