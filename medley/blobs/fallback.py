"""Keeps blobs in S3 while it answers, and in Postgres when it does not and they are small enough.

`placement.decide` decides; this file does. When S3 fails, it counts as down for a while, so that a queue of small files
does not wait for a timeout each.
"""

import time
from collections.abc import AsyncGenerator, Callable
from typing import assert_never
from uuid import UUID

import structlog

from medley.blobs import placement
from medley.blobs.inline import InlineStore
from medley.blobs.objects import ObjectStore
from medley.blobs.placement import Limits, S3State
from medley.blobs.port import Blob, BlobStore, Connection, Place, Spooled, Staged
from medley.runtime.errors import Transient, Unavailable

log = structlog.get_logger()


class FallbackStore:
    """The port made of two others."""

    def __init__(
        self,
        objects: ObjectStore | None,
        inline: InlineStore,
        limits: Limits,
        retry_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._inline = inline
        self._limits = limits
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._down_until = float("-inf")
        self._reason = ""

    @property
    def s3(self) -> S3State:
        if self._objects is None:
            return "absent"
        return "down" if self._clock() < self._down_until else "up"

    async def stage(self, spooled: Spooled) -> Staged:
        decision = placement.decide(spooled.size, self.s3, self._limits)
        match decision:
            case "s3":
                return await self._in_s3_if_it_answers(spooled)
            case "wait":
                raise Unavailable(
                    f"{spooled.size} bytes wait for S3: {self._reason}; only up to {self._limits.inline_limit} bytes "
                    "can be kept in Postgres meanwhile (BLOB_INLINE_LIMIT)"
                )
            case "inline" | "refuse":  # the inline store refuses what is above its limit, and says so
                return await self._inline.stage(spooled)
            case _:
                assert_never(decision)

    async def _in_s3_if_it_answers(self, spooled: Spooled) -> Staged:
        assert self._objects is not None
        try:
            staged = await self._objects.stage(spooled)
        except Transient as error:
            # Its intent stays: a PUT that timed out may still land, and the sweep must find it.
            self._down_until = self._clock() + self._retry_seconds
            self._reason = str(error)
            log.warning("s3 failed", reason=str(error), size=spooled.size)
            if placement.decide(spooled.size, "down", self._limits) == "wait":
                raise
            return await self._inline.stage(spooled)
        self._down_until = float("-inf")
        return staged

    def _store(self, place: Place) -> BlobStore:
        match place.placement:
            case "inline":
                return self._inline
            case "s3":
                if self._objects is None:
                    raise Unavailable("the blob is in S3 and no S3 is configured; set S3_ENDPOINT and its keys")
                return self._objects
            case _:
                assert_never(place.placement)

    async def claim(self, tx: Connection, staged: Staged) -> None:
        await self._store(staged.place).claim(tx, staged)

    async def settle(self, tx: Connection, staged: Staged, blob_id: UUID) -> None:
        await self._store(staged.place).settle(tx, staged, blob_id)

    def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        return self._store(blob.place).read(blob, start, stop)

    async def remove(self, tx: Connection, blob: Blob) -> None:
        await self._store(blob.place).remove(tx, blob)

    async def reachable(self) -> bool:
        if self._objects is not None and await self._objects.reachable():
            return True
        return await self._inline.reachable()
