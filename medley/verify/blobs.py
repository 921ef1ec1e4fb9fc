"""Reads every blob and compares size and digest with its row; then looks for objects that nobody names.

A blob that is moved or removed meanwhile is no difference: its row is read again. Orphans are told and left alone:
the sweep of uploads decides about them, and this may be an older copy of the database.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from medley.blobs import faults
from medley.blobs.objects import KEYS
from medley.blobs.opening import Blobs
from medley.blobs.port import Blob, Missing, Place
from medley.runtime import statements
from medley.runtime.errors import Unavailable
from medley.verify.database import Database
from medley.verify.findings import Finding
from medley.verify.pace import Pace

SQL = statements.load(__file__)
_PAGE = 100
_MOVES = 5
_REMEDY = "put the file in again (--repair asks for it where its source is known)"
BEFORE_ALL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class BlobBytes:
    """`pace` counts bytes, as `step` does."""

    database: Database
    blobs: Blobs
    pace: Pace
    step: Callable[[int], None]

    async def amount(self, after: UUID) -> tuple[int, int]:
        """Blobs and bytes that are still to be looked at."""
        with faults.database():
            row = await self.database.pool.fetchrow(SQL["count"], after)
        assert row is not None
        return row["blobs"], row["bytes"]

    async def verify(self, after: UUID) -> AsyncIterator[tuple[UUID, Finding | None]]:
        """One blob after the other, in the order of ids. Raises Unavailable when a store does not answer."""
        while True:
            with faults.database():
                rows = await self.database.pool.fetch(SQL["page"], after, _PAGE)
            for row in rows:
                after = row["id"]
                place = Place(row["placement"], row["s3_key"])
                yield after, await self._settled(Blob(after, row["sha256"], row["size"], row["mime"], place))
            if len(rows) < _PAGE:
                return

    async def _settled(self, blob: Blob) -> Finding | None:
        """What is wrong with it where its row says that it is."""
        for _ in range(_MOVES):
            found = await self._one(blob)
            if found is None:
                return None
            now = await self.blobs.shelf.find(blob.sha256)
            if now is None or now.id != blob.id:
                return None
            if now.place == blob.place:
                return found
            blob = now
        return found

    async def _one(self, blob: Blob) -> Finding | None:
        try:
            size = await self._size(blob)
            if size != blob.size:
                return self._finding(blob, f"{size} bytes", f"{blob.size}")
            digest = hashlib.sha256()
            async with aclosing(self.blobs.shelf.read(blob)) as pieces:
                async for piece in pieces:
                    digest.update(piece)
                    self.step(len(piece))
                    await self.pace.spend(len(piece))
        except Missing as error:
            found, needed = str(error), f"{blob.size} bytes"
            return Finding("blob", "missing bytes", blob.sha256, _where(blob), found, needed, _REMEDY)
        if digest.hexdigest() != blob.sha256:
            return self._finding(blob, f"bytes with sha256 {digest.hexdigest()}", blob.sha256)
        return None

    async def _size(self, blob: Blob) -> int:
        """Of what is stored. Raises Missing."""
        if blob.place.s3_key is not None:
            if self.blobs.s3 is None:
                raise Unavailable(f"blob {blob.sha256} is in S3 and no S3 is configured; set S3_ENDPOINT and its keys")
            return await self.blobs.s3.size(self.blobs.s3.bucket, blob.place.s3_key)
        with faults.database():
            size = await self.database.pool.fetchval(SQL["inline_size"], blob.id)
        if size is None:
            raise Missing("no row of media_blob_bytes")
        return int(size)

    def _finding(self, blob: Blob, found: str, needed: str) -> Finding:
        return Finding("blob", "wrong bytes", blob.sha256, _where(blob), found, needed, _REMEDY)

    async def orphans(self) -> AsyncIterator[Finding]:
        """Objects that neither a blob nor an upload names, and that are still there after that was asked."""
        s3 = self.blobs.s3
        if s3 is None:
            return
        async for keys in s3.keys(KEYS):
            with faults.database():
                rows = await self.database.pool.fetch(SQL["unnamed"], keys)
            for key in (row["key"] for row in rows):
                try:
                    size = await s3.size(s3.bucket, key)
                except Missing:
                    continue
                remedy = "delete it if no other database uses this bucket"
                found = f"an object of {size} bytes that no row names"
                yield Finding("orphan", "orphan", s3.bucket, key, found, "a row of media_blobs or blob_uploads", remedy)


def _where(blob: Blob) -> str:
    return blob.place.s3_key or "in Postgres"
