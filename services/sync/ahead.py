"""Logs that go further than the position at which they were taken up: the transaction that they end with must come.

Fan-out is given changes while CHANGES is written beside it (`handover`). When both it and a bus fail in that moment,
Postgres sends the transaction again. Unless that is another Postgres, a standby that was promoted without it or a copy
that was restored: then the log tells what never was.
"""

from services.sync.live import LiveShape


class Ahead:
    """Of one term. Pure."""

    def __init__(self) -> None:
        self._awaited: dict[int, list[LiveShape]] = {}

    def awaits(self, shape: LiveShape, lsn: int) -> None:
        """Its log ends with the transaction of this LSN."""
        self._awaited.setdefault(lsn, []).append(shape)

    def came(self, lsn: int) -> None:
        """A transaction is in CHANGES."""
        self._awaited.pop(lsn, None)

    def missing(self, lsn: int) -> list[LiveShape]:
        """Those whose transaction did not come; none that comes has an LSN at or below this one. Each is told once."""
        return [shape for one in sorted(self._awaited) if one <= lsn for shape in self._awaited.pop(one)]
