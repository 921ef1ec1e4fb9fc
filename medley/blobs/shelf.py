"""The reading side: finds a blob by its digest and streams its bytes, also while it moves from one place to another."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import asyncpg

from medley.blobs import faults
from medley.blobs.port import Blob, BlobStore, Missing, Place
from medley.runtime import statements

SQL = statements.load(__file__)


class Shelf:
    """Blobs by digest. Holds nothing that a restart loses."""

    def __init__(self, pool: asyncpg.Pool, store: BlobStore) -> None:
        self._pool = pool
        self._store = store

    async def find(self, sha256: str) -> Blob | None:
        """The published blob of this digest. Raises Transient when Postgres cannot be asked."""
        with faults.database():
            row = await self._pool.fetchrow(SQL["find"], sha256)
        if row is None:
            return None
        return Blob(row["id"], row["sha256"], row["size"], row["mime"], Place(row["placement"], row["s3_key"]))

    async def read(self, blob: Blob, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes [start, stop), with bounded memory. A blob that moves meanwhile is followed to its new place."""
        stop = blob.size if stop is None else stop
        position = start
        while True:
            try:
                async with aclosing(self._store.read(blob, position, stop)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        yield piece
                return
            except Missing:
                moved = await self.find(blob.sha256)
                if moved is None or moved.place == blob.place:
                    raise
                blob = moved
