"""Keeps blobs in S3, each attempt under a key that is never used again.

The order, and why nothing is lost or named twice (model-checked; keys that are digests lose data in every order tried):

1. intent row `blob_uploads(key, open)`, committed: whatever dies from here on, a sweep finds the key
2. PUT
3. VERIFY: read it back and hash it; an answer of 200 proves nothing
4. the publishing transaction: intent FOR UPDATE (gone or swept: start again), the row, DELETE the intent

A PUT that timed out may land late, and a DELETE of the sweep too: both can only touch a key that nobody will name.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg

from medley.blobs import faults
from medley.blobs.port import Blob, Connection, Missing, Place, Spooled, Staged, Swept
from medley.blobs.s3 import S3
from medley.runtime import statements
from medley.runtime.errors import Unavailable

SQL = statements.load(__file__)
LEASE = timedelta(hours=6)
KEYS = "blobs/"
"""Every key of ours begins so."""


def new_key(sha256: str) -> str:
    return f"{KEYS}{sha256[:2]}/{sha256}/{uuid4()}"


class ObjectStore:
    """The port over one S3 bucket, with its intents in Postgres."""

    def __init__(self, pool: asyncpg.Pool, s3: S3) -> None:
        self._pool = pool
        self._s3 = s3

    async def stage(self, spooled: Spooled) -> Staged:
        key = new_key(spooled.sha256)
        with faults.database():
            await self._pool.execute(SQL["open_intent"], key, spooled.sha256, LEASE)
        await self._s3.put(key, spooled.path, spooled.size)
        try:
            found = await self._s3.digest(key)
        except Missing as error:
            raise Unavailable(f"S3 accepted {key} and does not have it") from error
        if found != (spooled.sha256, spooled.size):
            raise Unavailable(f"S3 stored other bytes than it was given under {key} ({found[1]} of {spooled.size})")
        return Staged(spooled, Place("s3", key))

    async def claim(self, tx: Connection, staged: Staged) -> None:
        if await tx.fetchval(SQL["lock_intent"], staged.place.s3_key) is None:
            raise Swept(f"the intent of {staged.place.s3_key} was swept before it was published")

    async def settle(self, tx: Connection, staged: Staged, blob_id: UUID) -> None:
        await tx.execute(SQL["close_intent"], staged.place.s3_key)

    def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        if blob.place.s3_key is None:
            raise ValueError("an inline blob has no key")
        return self._s3.read(self._s3.bucket, blob.place.s3_key, start, stop - start)

    async def remove(self, tx: Connection, blob: Blob) -> None:
        await tx.execute(SQL["abandon"], blob.place.s3_key, blob.sha256)

    async def reachable(self) -> bool:
        return await self._s3.reachable()
