"""The catalogue: what ingest writes to Postgres, each fact in one transaction."""

from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg
import orjson

from medley.blobs import faults
from medley.blobs.port import BlobStore, Connection, Staged
from medley.contracts.jobs import IngestJob
from medley.runtime import statements
from medley.runtime.errors import Transient
from services.ingest import tidy

SQL = statements.load(__file__)


class Known(NamedTuple):
    """A blob that is published already, and its song if it has one."""

    blob_id: UUID
    song_id: UUID | None


class Song(NamedTuple):
    """A song as it is to be shown."""

    title: str
    artist: str | None
    album: str | None
    seconds: float | None
    metadata: dict[str, Any]


class Entry(NamedTuple):
    """What a file turned out to be."""

    sha256: str
    size: int
    mime: str
    local_path: str | None
    metadata: dict[str, Any]
    song: Song | None


def song_id(job_id: UUID) -> UUID:
    """The same for every delivery of a job."""
    return uuid5(job_id, "song")


def _short(text: str | None, longest: int = 1024) -> str | None:
    return tidy.text(text, longest) or None if text else None


class Catalog:
    """Raises Transient when Postgres cannot do it now, Permanent when it refuses the values."""

    def __init__(self, pool: asyncpg.Pool, store: BlobStore) -> None:
        self._pool = pool
        self._store = store

    async def begin(self, job: IngestJob) -> bool:
        """The job runs; False when it is done already and nothing is left to do."""
        with faults.database():
            row = await self._pool.fetchrow(SQL["begin"], job.job_id, _short(job.filename), _short(job.client_id))
        return row is not None

    async def progress(self, job_id: UUID, done: int, total: int) -> None:
        with faults.database():
            await self._pool.execute(SQL["progress"], job_id, done, total)

    async def wait(self, job_id: UUID, reason: str) -> None:
        """Back to the queue, with the reason."""
        with faults.database():
            await self._pool.execute(SQL["wait"], job_id, tidy.text(reason))

    async def fail(self, job_id: UUID, reason: str, filename: str | None = None, client_id: str | None = None) -> None:
        """Also of a job that has no row yet; a job that is done stays done."""
        with faults.database():
            await self._pool.execute(SQL["fail"], job_id, tidy.text(reason), _short(filename), _short(client_id))

    async def find(self, sha256: str) -> Known | None:
        with faults.database():
            row = await self._pool.fetchrow(SQL["find"], sha256)
        return Known(row["blob_id"], row["song_id"]) if row else None

    async def publish(self, job: IngestJob, entry: Entry, staged: Staged | None) -> Known:
        """One transaction: the blob's row, its song, the job's row. Everybody sees all of it or nothing.

        `staged` None says that the blob is published already. Raises Transient when that is no longer so.
        """
        with faults.database():
            async with self._pool.acquire() as connection, connection.transaction():
                if staged is not None:
                    await self._store.claim(connection, staged)
                blob_id = await self._blob(connection, job, entry, staged)
                song = await self._song(connection, job, entry, blob_id)
                await connection.execute(SQL["finish"], job.job_id, blob_id, song, entry.size)
        return Known(blob_id, song)

    async def _blob(self, tx: Connection, job: IngestJob, entry: Entry, staged: Staged | None) -> UUID:
        """Insert, else lock what another put there: from here to the commit nobody else adds a song to it."""
        if staged is not None:
            inserted: UUID | None = await tx.fetchval(
                SQL["add_blob"],
                entry.sha256,
                entry.size,
                entry.mime,
                staged.place.placement,
                staged.place.s3_key,
                _short(job.client_id),
                _short(entry.local_path, 4096),
                orjson.dumps(entry.metadata).decode(),
            )
            if inserted is not None:
                await self._store.settle(tx, staged, inserted)
                return inserted
        existing: UUID | None = await tx.fetchval(SQL["lock_blob"], entry.sha256)
        if existing is None:
            raise Transient(f"blob {entry.sha256} was removed meanwhile")
        return existing

    async def _song(self, tx: Connection, job: IngestJob, entry: Entry, blob_id: UUID) -> UUID | None:
        existing: UUID | None = await tx.fetchval(SQL["song_of"], blob_id)
        if existing is not None or entry.song is None:
            return existing
        song = entry.song
        added: UUID = await tx.fetchval(
            SQL["add_song"],
            song_id(job.job_id),
            blob_id,
            song.title,
            song.artist,
            song.album,
            song.seconds,
            _short(job.client_id),
            orjson.dumps(song.metadata).decode(),
        )
        return added
