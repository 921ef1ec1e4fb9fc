"""One job, from its source to a published row.

What must hold, whatever dies and whenever: a published row's bytes can be read and have its digest; one row for one
digest; a done job has its row; what is half done is visible to nobody. The order that keeps it:

1. spool     the bytes into a file of our own, hashed and counted on the way; size and expected digest are checked
2. sniff     what the bytes are, against what the job says they are
3. exists?   a digest that is published needs no storing; its song, if it has one, is the job's song
4. extract   tags, duration, width and height; a file that cannot be read as what it is ends here
5. stage     the bytes are stored and verified: S3 (intent row, PUT, read back), or Postgres when S3 is absent or down
6. publish   one transaction: intent locked, blob, song, the job's row; the loser of a race takes the winner's rows
7. the caller acknowledges the message

Killed before 6: nothing is visible, the message comes again, the intent waits for a sweep. Killed after 6: the message
comes again, finds the row done, and is acknowledged. Extraction stands before staging: a corrupt file is never stored.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from medley.blobs.port import BlobStore, Spooled
from medley.contracts.jobs import IngestJob
from medley.runtime.errors import Transient
from services.ingest import describe, sniff
from services.ingest.catalog import Catalog, Entry, Known
from services.ingest.extract import Extracted, extract
from services.ingest.refusals import Refused
from services.ingest.settings import IngestSettings
from services.ingest.sources import Sources
from services.ingest.spool import Spool

PROGRESS_SECONDS = 1.0


class Done(NamedTuple):
    """The job's outcome; `new` says that its bytes were not in the library before."""

    known: Known
    new: bool


class _Counter:
    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, size: int) -> None:
        self.bytes = size


class Pipeline:
    """Runs jobs, any number at once. Raises Permanent for a job that will never succeed, Transient for one that may."""

    def __init__(
        self, catalog: Catalog, store: BlobStore, sources: Sources, spool: Spool, settings: IngestSettings
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._sources = sources
        self._spool = spool
        self._settings = settings

    async def run(self, job: IngestJob) -> Done:
        opened = await self._sources.open(job.source)
        counter = _Counter()
        async with (
            self._reporting(job, counter, opened.size),
            self._spool.take(opened, counter) as spooled,
        ):
            if job.expected_sha256 not in (None, spooled.sha256):
                raise Refused(f"found sha256 {spooled.sha256}, needed {job.expected_sha256}; send the file again")
            return await self._record(job, spooled, opened.local_path)

    async def _record(self, job: IngestJob, spooled: Spooled, local_path: str | None) -> Done:
        kind = await asyncio.to_thread(_sniff, spooled)
        describe.check_claim(job, kind)
        known = await self._catalog.find(spooled.sha256)
        complete = known is not None and (known.song_id is not None or kind is None or kind.family != "audio")
        extracted = Extracted({}, {}) if kind is None or complete else await self._extract(spooled, kind)
        shown = describe.metadata(job, kind, extracted)
        entry = Entry(
            spooled.sha256,
            spooled.size,
            kind.mime if kind else describe.PLAIN_BYTES,
            local_path,
            shown,
            None if complete else describe.song(job, kind, shown),
        )
        staged = None if known else await self._store.stage(spooled)
        return Done(await self._catalog.publish(job, entry, staged), new=known is None)

    async def _extract(self, spooled: Spooled, kind: sniff.Kind) -> Extracted:
        return await extract(spooled.path, kind, self._settings.extract_seconds, self._settings.image_pixels)

    @asynccontextmanager
    async def _reporting(self, job: IngestJob, counter: _Counter, total: int) -> AsyncIterator[None]:
        """The row's progress, about once a second. A row of progress that is lost costs nothing."""

        async def report() -> None:
            while True:
                await asyncio.sleep(PROGRESS_SECONDS)
                with suppress(Transient):
                    await self._catalog.progress(job.job_id, counter.bytes, total)

        task = asyncio.create_task(report())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _sniff(spooled: Spooled) -> sniff.Kind | None:
    with spooled.path.open("rb") as file:
        return sniff.sniff(file)
