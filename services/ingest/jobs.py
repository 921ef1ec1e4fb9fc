"""The handler of job messages: message in, use case, then acknowledge, give back or park.

The order of parking: the row says failed, the copy is among the dead letters (its message id is the delivery's place in
the queue, so once), then the message is acknowledged. Killed between any two, the next delivery does it again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import assert_never
from uuid import UUID, uuid5

import orjson
import structlog
from faststream.nats import NatsMessage
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import ValidationError

from medley.contracts import headers, subjects
from medley.contracts.jobs import IngestJob
from medley.runtime.errors import MedleyError, Unavailable
from services.ingest import describe
from services.ingest.catalog import Catalog
from services.ingest.outcomes import Ack, Outcome, Park, Retry, RetryPolicy, outcome
from services.ingest.pipeline import Pipeline
from services.ingest.refusals import Refused

log = structlog.get_logger()

_UNNAMED = UUID("0e6f6c9e-6a0c-5b1e-9d0b-6f1f3a3b7c55")  # namespace of rows for messages without a usable job id
_HEADER_ROOM = 4096


class Jobs:
    """Handles deliveries; never raises, so one message cannot stop the others."""

    def __init__(
        self, pipeline: Pipeline, catalog: Catalog, js: JetStreamContext, policy: RetryPolicy, ack_wait: float
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._js = js
        self._policy = policy
        self._ack_wait = ack_wait
        self._giving_back: set[asyncio.Task[None]] = set()

    async def receive(self, body: bytes, message: NatsMessage) -> None:
        """One delivery, to its end."""
        place = message.raw_message.metadata
        sequence, delivery = place.sequence.stream, place.num_delivered or 1
        job_id = _named(body) or uuid5(_UNNAMED, f"{sequence}:{place.timestamp.isoformat()}")
        with structlog.contextvars.bound_contextvars(job=str(job_id), delivery=delivery):
            async with self._alive(message):
                try:
                    error = await self._attempt(body)
                    await self._settle(outcome(error, delivery, self._policy), job_id, sequence, body, message)
                except asyncio.CancelledError:
                    self._give_back(message)
                    raise
                except Exception as error:
                    # Not even the outcome could be recorded: the queue keeps the message, and asks again.
                    log.warning("job could not be settled", reason=str(error), exc_info=not _expected(error))
                    with suppress(NatsError, OSError, TimeoutError):
                        await message.nack(delay=self._policy.delay(delivery))

    async def _attempt(self, body: bytes) -> Exception | None:
        """None when the job is done; else why it is not."""
        try:
            job = _parse(body)
            job = job.model_copy(update={"filename": describe.filename(job)})
            if not await self._catalog.begin(job):
                log.info("job was done already")
                return None
            done = await self._pipeline.run(job)
        except MedleyError as error:
            return error
        except Exception as error:
            log.exception("job failed in an unexpected way")
            return error
        log.info("job done", file=job.filename, new=done.new, blob=str(done.known.blob_id))
        return None

    async def _settle(self, result: Outcome, job_id: UUID, sequence: int, body: bytes, message: NatsMessage) -> None:
        match result:
            case Ack():
                await message.ack()
            case Retry(delay, reason):
                log.warning("job waits", reason=reason, seconds=delay)
                with suppress(MedleyError):  # the row's reason is a courtesy; giving back is not
                    await self._catalog.wait(job_id, reason)
                await message.nack(delay=delay)
            case Park(reason):
                log.warning("job failed", reason=reason)
                name, client = _shown(body)
                await self._catalog.fail(job_id, reason, name, client)
                await self._bury(body, reason, job_id, sequence)
                await message.ack()
            case _:
                assert_never(result)

    async def _bury(self, body: bytes, reason: str, job_id: UUID, sequence: int) -> None:
        # The copy carries a header more than the original; the bus cuts the connection of who sends too much.
        room = self._js._nc.max_payload - _HEADER_ROOM
        line = " ".join(reason.split())[:1024]
        try:
            await self._js.publish(
                subjects.INGEST_DEAD,
                body if len(body) <= room else b"",
                headers={headers.REASON: line, headers.MSG_ID: f"{job_id}:{sequence}"},
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable(f"the dead letter could not be stored ({error!r})") from error

    @asynccontextmanager
    async def _alive(self, message: NatsMessage) -> AsyncIterator[None]:
        """Tells the queue that the delivery is being worked on, for as long as it is."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._ack_wait / 3)
                with suppress(NatsError, OSError, TimeoutError):
                    await message.in_progress()

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()

    def _give_back(self, message: NatsMessage) -> None:
        """We are stopping in the middle: another worker should not have to wait until the delivery runs out."""

        async def nack() -> None:
            with suppress(NatsError, OSError, TimeoutError):
                await message.nack()

        task = asyncio.create_task(nack())
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)


def _parse(body: bytes) -> IngestJob:
    """Raises Refused, naming each field that is wrong."""
    try:
        return IngestJob.model_validate_json(body)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in error.errors()[:5]]
        raise Refused(f"not a valid job: {'; '.join(problems)}") from error


def _loose(body: bytes) -> dict[str, object]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _named(body: bytes) -> UUID | None:
    """The job id of a message, valid or not in the rest."""
    try:
        return UUID(str(_loose(body).get("job_id")))
    except ValueError:
        return None


def _shown(body: bytes) -> tuple[str | None, str | None]:
    values = _loose(body)
    name, client = values.get("filename"), values.get("client_id")
    return name if isinstance(name, str) else None, client if isinstance(client, str) else None


def _expected(error: Exception) -> bool:
    return isinstance(error, MedleyError | NatsError | OSError | TimeoutError)
