"""Keeps blobs in Postgres, in a table of their own that is never published.

Staging only checks the size: the bytes are written by the publishing transaction, so a rollback leaves nothing.
"""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import asyncpg

from medley.blobs import faults
from medley.blobs.port import CHUNK, Blob, Connection, Missing, Place, Spooled, Staged, TooLarge
from medley.runtime import statements
from medley.runtime.errors import Transient

SQL = statements.load(__file__)


class InlineStore:
    """The port over `media_blob_bytes`. A blob is in memory whole while it is written, never while it is read."""

    def __init__(self, pool: asyncpg.Pool, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    async def stage(self, spooled: Spooled) -> Staged:
        if spooled.size > self._limit:
            raise TooLarge(
                f"found {spooled.size} bytes, Postgres takes at most {self._limit}; "
                "configure S3_ENDPOINT or raise BLOB_INLINE_LIMIT"
            )
        return Staged(spooled, Place("inline"))

    async def claim(self, tx: Connection, staged: Staged) -> None:
        """Nothing to hold: nobody else knows of the attempt."""

    async def settle(self, tx: Connection, staged: Staged, blob_id: UUID) -> None:
        data = await asyncio.to_thread(staged.spooled.path.read_bytes)
        if await tx.fetchval(SQL["write"], blob_id, data, staged.spooled.sha256) is None:
            raise Transient(f"the spooled bytes of {staged.spooled.sha256} changed before they were stored")

    async def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        # A connection for each piece: a slow reader must not hold one.
        for position in range(start, stop, CHUNK):
            want = min(CHUNK, stop - position)
            with faults.database():
                piece = await self._pool.fetchval(SQL["piece"], blob.id, position + 1, want)
            if piece is None or len(piece) != want:
                raise Missing(f"Postgres does not have byte {position} of blob {blob.sha256}")
            yield piece

    async def remove(self, tx: Connection, blob: Blob) -> None:
        await tx.execute(SQL["remove"], blob.id)

    async def reachable(self) -> bool:
        try:
            with faults.database():
                await self._pool.fetchval(SQL["ping"], timeout=5)
        except Exception:
            return False
        return True
