"""Whether Postgres goes on with the history that the streams hold, as a restored copy of the database does not. Pure.

What was not confirmed to Postgres it sends again. So the newest transaction of CHANGES comes again, unless it was
confirmed; when Postgres is past its place without having sent it, that history is not this database's.
"""

from medley.runtime.errors import Transient
from services.sync.changes import Identity
from services.sync.pgoutput import Begin


class Forked(Transient):
    """The newest transaction of CHANGES never was in this database."""


class Resumed:
    """`newest`: CHANGES' newest transaction; `confirmed`: the slot's LSN, below which nothing comes."""

    def __init__(self, newest: Identity | None, confirmed: int) -> None:
        self._awaited = newest if newest is not None and confirmed <= newest.lsn else None
        self.forked = False

    def begins(self, event: Begin) -> None:
        """Raises Forked."""
        if self._awaited is not None and event.lsn >= self._awaited.lsn:
            self._settle(Identity.of(event) == self._awaited)

    def passed(self, lsn: int) -> None:
        """Every transaction that was committed below the LSN has come. Raises Forked."""
        if self._awaited is not None and lsn > self._awaited.lsn:
            self._settle(came=False)

    def _settle(self, came: bool) -> None:
        if not came:
            self.forked = True
            raise Forked("the database was restored: it never had the newest transaction of CHANGES")
        self._awaited = None
