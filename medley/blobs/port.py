"""The port of the content-addressed store: what any place that keeps bytes owes to those who write and read.

A blob is written in three steps, so that bytes are always safe before a row names them:

    staged = await store.stage(spooled)          bytes are stored and verified, no row names them
    async with connection.transaction():         the caller's transaction, READ COMMITTED
        await store.claim(tx, staged)            the attempt is still ours, and stays so until the commit
        … INSERT media_blobs … ON CONFLICT …     with staged.place; the caller's statement
        await store.settle(tx, staged, blob_id)  only when that row was inserted with staged.place

What is staged and never settled costs space and nothing else: a later sweep removes it.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from medley.runtime.errors import Permanent, Transient

Connection = asyncpg.Connection | PoolConnectionProxy
CHUNK = 256 * 1024  # what a reader of a blob holds in memory


class Missing(Permanent):
    """The bytes are not where the row, or the caller, says."""


class TooLarge(Permanent):
    """No configured place takes a blob of this size, and waiting will not change it."""


class Swept(Transient):
    """The attempt's key was given up before it was published: stage again, under a new key."""


class Place(NamedTuple):
    """Where the bytes of a blob are, as its row says."""

    placement: Literal["s3", "inline"]
    s3_key: str | None = None


@dataclass(frozen=True, slots=True)
class Spooled:
    """A local file with the digest and size that were computed while it was written."""

    path: Path
    sha256: str
    size: int


class Staged(NamedTuple):
    """One attempt to store a blob: its bytes are safe in `place`, and named by no row yet."""

    spooled: Spooled
    place: Place


@dataclass(frozen=True, slots=True)
class Blob:
    """A published blob, as a reader needs it."""

    id: UUID
    sha256: str
    size: int
    mime: str
    place: Place


class BlobStore(Protocol):
    """A place for bytes. Every implementation passes `tests/integration/test_blob_store.py`."""

    async def stage(self, spooled: Spooled) -> Staged:
        """Store and verify: afterwards the bytes read back from the place have `spooled.sha256`.

        May be called any number of times for one digest; each call is an attempt of its own, and a failed or killed
        one leaves nothing that a reader can see. Raises Transient when the place cannot be reached or answers
        wrongly, TooLarge when it will never take a blob of this size.
        """

    async def claim(self, tx: Connection, staged: Staged) -> None:
        """In the publishing transaction, before the row: nobody may give the attempt up until the commit.

        Raises Swept when somebody already has.
        """

    async def settle(self, tx: Connection, staged: Staged, blob_id: UUID) -> None:
        """In the publishing transaction, after the row was inserted with `staged.place`: the bytes are the row's.

        Not called by the loser of a race; its attempt stays for the sweep.
        """

    def read(self, blob: Blob, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes [start, stop) in pieces of at most CHUNK; 0 <= start <= stop <= blob.size.

        Never more than a few pieces in memory. Closing the generator early releases everything that it holds.
        Raises Missing when the bytes are not there (a row that moved meanwhile included), Transient when they cannot
        be reached, and never ends early without raising.
        """

    async def remove(self, tx: Connection, blob: Blob) -> None:
        """In the transaction that deletes the blob's row, before it: the bytes are given up, and freed at the latest
        by a later sweep. May be repeated."""

    async def reachable(self) -> bool:
        """Whether `stage` has a chance now. Answers within seconds and never raises."""
