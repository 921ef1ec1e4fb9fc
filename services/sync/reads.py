"""Which handles are read, as the APIs say: what nobody reads can be given up. Pure."""

from collections.abc import Callable

from medley.contracts.shapes import HandlesRead


class Reads:
    """`since`: from when on it listens, of the monotonic clock; what was read before counts as read then."""

    def __init__(self, since: float) -> None:
        self.since = since
        self._read: dict[str, float] = {}
        self._snapshots: dict[str, float] = {}

    def heard(self, said: HandlesRead, now: float) -> None:
        self._read.update(dict.fromkeys(said.handles, now))
        self._snapshots.update(dict.fromkeys(said.snapshots, now))

    def asked_for(self, handle: str, now: float) -> None:
        """Somebody opens it, and will read it."""
        self._read[handle] = now

    def last(self, handle: str) -> float:
        return self._read.get(handle, self.since)

    def last_of_snapshot(self, handle: str) -> float:
        return self._snapshots.get(handle, self.since)

    def keep(self, known: Callable[[str], bool]) -> None:
        """Forget every other handle."""
        self._read = {handle: at for handle, at in self._read.items() if known(handle)}
        self._snapshots = {handle: at for handle, at in self._snapshots.items() if known(handle)}
