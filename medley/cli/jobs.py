"""Ingest jobs as the command line makes them: one for each file, published to the bus, followed as a shape."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from medley.cli.lending import Inbox
from medley.client.http import Message
from medley.client.materialise import Copy, Row
from medley.contracts import headers, subjects
from medley.contracts.jobs import IngestJob, PathSource
from medley.runtime.errors import Permanent, Unavailable

TABLE = "ingest_jobs"
COLUMNS = ("id", "state", "error", "blob_id", "song_id", "filename")
_WINDOW = 64  # acks awaited at a time


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file named, and every file below every folder named, in order; hidden ones only when named."""
    for path in paths:
        if not path.is_dir():
            yield path.absolute()
            continue
        for folder, folders, names in os.walk(path.absolute()):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))


def job_for(path: Path, inbox: Inbox | None = None) -> IngestJob:
    """A job whose source is the path, or where the inbox lends it to workers who may not open that.

    Raises Permanent for a name that is not text: a job is JSON.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise Permanent(f"{str(path)!r} has a name that is not UTF-8; rename it") from None
    job_id = uuid4()
    named = inbox.path_for(path, job_id) if inbox else path
    source = PathSource(kind="path", path=str(named))
    return IngestJob(job_id=job_id, source=source, filename=path.name, client_id="medley-cli")


async def publish(js: JetStreamContext, jobs: list[IngestJob]) -> None:
    """Into the stream, acked. Raises Unavailable."""

    async def one(job: IngestJob) -> None:
        await js.publish(
            subjects.ingest_jobs(),
            job.model_dump_json(exclude_none=True).encode(),
            headers={headers.MSG_ID: str(job.job_id)},
        )

    try:
        for start in range(0, len(jobs), _WINDOW):
            await asyncio.gather(*(one(job) for job in jobs[start : start + _WINDOW]))
    except (NatsError, TimeoutError) as error:
        raise Unavailable(f"the bus did not take the jobs ({error!r}); publish again: nothing is done twice") from error


@dataclass
class Outcomes:
    """What became of our jobs, from the messages of the shape `ingest_jobs`."""

    jobs: dict[str, IngestJob] = field(default_factory=dict)
    copy: Copy = field(default_factory=Copy)
    lender: Inbox | None = None

    def expect(self, jobs: list[IngestJob]) -> None:
        self.jobs |= {str(job.job_id): job for job in jobs}

    def apply(self, messages: list[Message]) -> None:
        self.copy.apply(messages)
        if self.lender is not None:
            self.lender.take_back(self.ended())

    def rows(self) -> dict[str, Row]:
        """The rows of our jobs, by job id."""
        found = {str(row["id"]): row for row in self.copy.rows.values()}
        return {job_id: found[job_id] for job_id in self.jobs if job_id in found}

    def ended(self) -> dict[str, Row]:
        return {job_id: row for job_id, row in self.rows().items() if row["state"] in ("done", "failed")}

    def failed(self) -> dict[str, Row]:
        return {job_id: row for job_id, row in self.rows().items() if row["state"] == "failed"}
