"""What capture publishes, given to the fan-out of its own process at once: the stream is written beside it.

Invariants
  * messages are given in the order of CHANGES, each with the sequence that it will have there; a capture that is told
    another one ends;
  * nothing that was given counts as stored before JetStream acked it: no position that is announced or kept is beyond;
  * when capture ends and something of what it gave is not acked, whoever took it starts again from their position: what
    comes in its place may be cut otherwise.

That a log goes further than CHANGES for a moment weakens nothing: Postgres only sends what its disk has, and until the
ack it keeps it. What a log has already is recognised by its offset when it comes again, and `ahead` sees to it that it
does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol


class Arrived(NamedTuple):
    """A message of CHANGES. `at`: when it came into the stream, in seconds since 1970."""

    sequence: int
    data: bytes
    last: bool
    at: float


class Taker(Protocol):
    """Who takes messages of the stream, in order."""

    def given(self, arrived: Arrived) -> None: ...

    def stored(self, sequence: int) -> None:
        """What was given is in the stream, up to here."""

    def withdrawn(self) -> None:
        """Some of what was given may not be in the stream, nor ever come."""


class Handover:
    """Of one process."""

    def __init__(self) -> None:
        self._taker: tuple[str, Taker] | None = None

    @contextmanager
    def taken_by(self, changes_id: str, taker: Taker) -> Iterator[None]:
        """What capture publishes into that stream; nothing when there is another one now."""
        self._taker = changes_id, taker
        try:
            yield
        finally:
            self._taker = None

    def taker(self, changes_id: str) -> Taker | None:
        """Who takes messages of this stream."""
        if self._taker is None or self._taker[0] != changes_id:
            return None
        return self._taker[1]
