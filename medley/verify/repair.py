"""What `--repair` does about what differs, and all that it does: it asks sync to forget a shape, so that its clients
fetch it again, and ingest to take in a file again whose bytes are damaged."""

from collections.abc import Sequence
from pathlib import PurePath

from nats.aio.client import Client
from nats.errors import Error as NatsError

from medley.blobs import faults
from medley.contracts import headers, subjects
from medley.contracts.jobs import IngestJob, PathSource
from medley.contracts.shapes import DropReply, DropRequest
from medley.runtime.errors import Unavailable
from medley.verify.blobs import SQL
from medley.verify.database import Database
from medley.verify.findings import Finding

_DROP_SECONDS = 30.0


async def repair(client: Client, database: Database, findings: Sequence[Finding]) -> list[str]:
    """What was done, a line each. Raises Unavailable."""
    done = []
    for handle in dict.fromkeys(finding.subject for finding in findings if finding.part == "shape"):
        done.append(await _drop(client, handle))
    for sha256 in dict.fromkeys(finding.subject for finding in findings if finding.part == "blob"):
        done.append(await _take_in(client, database, sha256))
    return done


async def _drop(client: Client, handle: str) -> str:
    request = DropRequest(handle=handle).model_dump_json().encode()
    try:
        reply = await client.request(subjects.SYNC_SHAPES_DROP, request, timeout=_DROP_SECONDS)
    except (NatsError, TimeoutError) as error:
        raise Unavailable(
            f"sync does not answer about shape {handle} ({error!r}); start it, and repair again"
        ) from error
    if DropReply.model_validate_json(reply.data).dropped:
        return f"shape {handle}: dropped; its clients fetch it again"
    return f"shape {handle}: gone already"


async def _take_in(client: Client, database: Database, sha256: str) -> str:
    with faults.database():
        path = await database.pool.fetchval(SQL["local_path"], sha256)
    if path is None:
        return f"blob {sha256}: nobody knows where it came from; it must be put in again by whoever has the file"
    source = PathSource(kind="path", path=path)
    job = IngestJob(source=source, filename=PurePath(path).name, expected_sha256=sha256, client_id="medley-verify")
    try:
        await client.jetstream().publish(
            subjects.ingest_jobs(),
            job.model_dump_json(exclude_none=True).encode(),
            headers={headers.MSG_ID: str(job.job_id)},
        )
    except (NatsError, TimeoutError) as error:
        raise Unavailable(f"the bus did not take the job for blob {sha256} ({error!r}); repair again") from error
    # Ingest leaves a digest that it knows as it is, so nothing may be promised here.
    return f"blob {sha256}: ingest was asked to take {path} in again, as job {job.job_id}; verify again to see"
