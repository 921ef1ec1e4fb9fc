"""`POST /v1/ingest` publishes a job, `GET /v1/ingest/{job_id}` shows its row.

The order: the message first, the row `queued` second. The queue is what makes a job happen, and the worker writes the
row if nobody else did; the other way round, a crash between the two would show a job that will never run. The row only
lets a client see its job before a worker is free, so a database that is down does not fail the request.
"""

from uuid import UUID

import asyncpg
import orjson
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import ValidationError

from medley.contracts import headers, subjects
from medley.contracts.jobs import IngestJob
from medley.runtime import statements
from medley.runtime.postgres import FAILURES

log = structlog.get_logger()

SQL = statements.load(__file__)
_ROOM = 1024  # headers count as payload on the bus


def router(pool: asyncpg.Pool, js: JetStreamContext) -> APIRouter:
    routes = APIRouter(tags=["ingest"])

    @routes.post("/v1/ingest", status_code=202, openapi_extra=_BODY)
    async def publish(request: Request, priority: str = "normal") -> Response:
        """Publish a job. The same job_id twice is one job."""
        if priority not in subjects.INGEST_PRIORITIES:
            return _invalid({"priority": [f"must be one of {', '.join(subjects.INGEST_PRIORITIES)}"]})
        body = await _body(request, js._nc.max_payload - _ROOM)
        if body is None:
            return _problem(
                413, f"a job has at most {js._nc.max_payload - _ROOM} bytes; use a path or an object source"
            )
        try:
            job = IngestJob.model_validate_json(body)
        except ValidationError as error:
            return _invalid(_by_field(error))
        if refusal := await _publish(js, subjects.ingest_jobs(priority), job):
            return refusal
        try:
            await pool.execute(SQL["queue"], job.job_id, _clean(job.filename), _clean(job.client_id), timeout=5)
        except FAILURES as error:
            log.warning("queued job has no row yet", job=str(job.job_id), reason=repr(error))
        return JSONResponse({"job_id": str(job.job_id)}, 202, {"location": f"/v1/ingest/{job.job_id}"})

    @routes.get("/v1/ingest/{job_id}")
    async def show(job_id: str) -> Response:
        """The job's row: state, error, progress, what became of it."""
        try:
            row = await pool.fetchrow(SQL["job"], UUID(job_id), timeout=5)
        except ValueError:
            return _invalid({"job_id": ["must be a UUID"]})
        except FAILURES as error:
            return _problem(503, f"the database cannot answer now ({type(error).__name__}); try again")
        if row is None:
            return _problem(404, f"no job {job_id}")
        return Response(orjson.dumps(dict(row), default=str), media_type="application/json", headers=_NO_STORE)

    return routes


_EXAMPLE = {"source": {"kind": "path", "path": "/media/night-ferry.mp3"}, "client_id": "phone"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "title": "IngestJob", "example": _EXAMPLE}}},
    }
}
_NO_STORE = {"cache-control": "no-store"}


def _most(js: JetStreamContext) -> int:
    """Bytes of a job that the bus takes, with its headers."""
    return js._nc.max_payload - _ROOM


def _too_large(js: JetStreamContext) -> Response:
    return _problem(413, f"a job has at most {_most(js)} bytes here; use a path or an object source")


async def _publish(js: JetStreamContext, subject: str, job: IngestJob) -> Response | None:
    """None when the queue has the job; else the refusal."""
    message = job.model_dump_json().encode()
    if len(message) > _most(js):
        return _too_large(js)
    try:
        if not js._nc.is_connected:
            raise TimeoutError  # else the client would keep it for later, and send what we refused
        await js.publish(subject, message, headers={headers.MSG_ID: str(job.job_id)}, timeout=5)
    except (NatsError, OSError, TimeoutError) as error:
        log.warning("job not queued", job=str(job.job_id), reason=repr(error))
        return _problem(503, "the queue cannot be reached now; send the job again, under the same job_id")
    return None


async def _body(request: Request, most: int) -> bytes | None:
    """The body, or None as soon as it is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            return None
    return bytes(body)


def _clean(text: str | None) -> str | None:
    return text.replace("\x00", "") if text else None


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"])) or "body"
        fields.setdefault(name, []).append(problem["msg"])
    return fields


def _invalid(errors: dict[str, list[str]]) -> Response:
    return JSONResponse({"message": "Invalid request", "errors": errors}, 400, _NO_STORE)


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status, _NO_STORE)
