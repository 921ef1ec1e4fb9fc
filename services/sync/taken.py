"""Keys that rows take before others give them up, where a primary key is checked late (DEFERRABLE). Pure.

In a transaction two rows may then have one key for a while. Clients know rows by their keys: what the one that had it
first is told to give up, they would take from the other. It cannot be told from the log which of the two was meant, so
the shape starts afresh. Wherever two rows had one key, one of them left it after the other had come.
"""

from collections.abc import Iterable

import orjson

from services.sync.entries import Entry, Rotate

_MOST = 100_000  # keys of one transaction that are remembered


class Taken:
    """The keys that the transaction at hand has brought into a shape."""

    __slots__ = ("_forgotten", "_keys", "_lsn")

    def __init__(self) -> None:
        self._lsn = 0
        self._keys: set[int] = set()
        self._forgotten = False

    def check(self, entries: Iterable[Entry]) -> None:
        """Take the next entries in. Raises Rotate when one of them lets go of a key that came in this transaction."""
        for entry in entries:
            if entry.offset.tx != self._lsn:
                self._lsn, self._keys, self._forgotten = entry.offset.tx, set(), False
            message = orjson.loads(entry.body)
            key = hash(message["key"])
            match message["headers"]["operation"]:
                case "insert" if len(self._keys) < _MOST:
                    self._keys.add(key)
                case "insert":
                    self._forgotten = True
                case "delete" if self._forgotten or key in self._keys:
                    raise Rotate("a key was taken and given up in one transaction, and its primary key is deferrable")
