"""Purges what a later generation of a shape supersedes: snapshots, the log that led to them, and handles nobody reads.

* A snapshot goes when another one has been there for a while, and nobody is in the middle of reading it.
* The log stays from the generation before the oldest snapshot that is left, so that whoever was away for a while goes
  on with it; after `log_age`, from that snapshot on. Its last message always stays: an empty log would look as if
  nothing had ever been in it.
* The record of a superseded generation stays for as long as somebody may go on under its handle.
"""

import asyncio
import time
from collections.abc import Sequence

from medley.contracts import streams, subjects
from medley.contracts.shapes import ShapeRecord
from services.sync.fanout import Fanout
from services.sync.reads import Reads
from services.sync.settings import SyncSettings

_MOST_HANDLES = 64
"""Generations of one shape whose handles are known, however often they are read."""


class Purging:
    def __init__(self, fanout: Fanout, reads: Reads, settings: SyncSettings) -> None:
        self._fanout = fanout
        self._reads = reads
        self._settings = settings
        known = (record.handle for _, later in fanout.later.all() for record in later)
        self._whole_since: dict[str, float] = dict.fromkeys(known, reads.since)
        """When a generation's snapshot was first known to be whole, of the monotonic clock."""
        self._purged: set[str] = set()
        """Handles without a snapshot."""
        self._log_purged: dict[str, int] = {}

    async def run(self) -> None:
        """Ends only by raising."""
        while True:
            await asyncio.sleep(self._settings.renewal_interval)
            for first, later in self._fanout.later.all():
                await self._purge(first, tuple(later))
            self._forget_gone()

    async def _purge(self, first: str, later: Sequence[ShapeRecord]) -> None:
        now = time.monotonic()
        for record in later:
            self._whole_since.setdefault(record.handle, now)
        for handle, successor in zip((first, *(one.handle for one in later)), later, strict=False):
            if handle not in self._purged and self._is_superseded(handle, successor, now):
                await self._purge_subject(subjects.shape_snapshot(handle))
                self._purged.add(handle)
        await self._purge_log(first, later, now)
        for record in self._unread(later, now):
            await self._fanout.registry.forget(record.handle)
            self._fanout.later.remove(record.handle)

    def _is_superseded(self, handle: str, successor: ShapeRecord, now: float) -> bool:
        last = max(self._whole_since[successor.handle], self._reads.last_of_snapshot(handle))
        return now - last >= self._settings.superseded_seconds

    async def _purge_log(self, first: str, later: Sequence[ShapeRecord], now: float) -> None:
        handles = (first, *(one.handle for one in later))
        oldest = next(number for number, handle in enumerate(handles) if handle not in self._purged)
        aged = oldest > 0 and now - self._whole_since[handles[oldest]] >= self._settings.log_age
        kept = oldest if aged else oldest - 1
        continued = later[kept - 1].continued if kept > 0 else None
        if continued is not None and continued.sequence > self._log_purged.get(first, 0):
            await self._purge_subject(subjects.shape_log(first), continued.sequence)
            self._log_purged[first] = continued.sequence

    async def _purge_subject(self, subject: str, before: int | None = None) -> None:
        """All of its messages, or those before a sequence."""
        await self._fanout.js.purge_stream(streams.SHAPES.name, subject=subject, seq=before)

    def _unread(self, later: Sequence[ShapeRecord], now: float) -> list[ShapeRecord]:
        """Superseded generations that nobody can be following."""
        superseded = [record for record in later[:-1] if record.handle in self._purged]
        many = sorted(superseded, key=lambda record: self._reads.last(record.handle))[:-_MOST_HANDLES]
        aged = [one for one in superseded if now - self._reads.last(one.handle) >= self._settings.log_age]
        never = [one for one in superseded if self._reads.last(one.handle) < self._whole_since[one.handle]]
        return list({one.handle: one for one in (*many, *aged, *never)}.values())

    def _forget_gone(self) -> None:
        shapes = self._fanout.later.all()
        known = {handle for first, later in shapes for handle in (first, *(one.handle for one in later))}
        self._purged &= known
        self._whole_since = {handle: at for handle, at in self._whole_since.items() if handle in known}
        self._log_purged = {handle: at for handle, at in self._log_purged.items() if handle in known}
