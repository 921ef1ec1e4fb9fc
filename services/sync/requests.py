"""Requests about shapes: any worker takes them, and the one that has the shape's slice answers; FastStream takes them
and writes the replies."""

import asyncio
import time
from contextlib import suppress

from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import BaseModel

from medley.contracts import subjects
from medley.contracts.shapes import DropReply, DropRequest, OpenReply, OpenRequest
from medley.contracts.slices import slice_of
from medley.runtime import bus
from medley.runtime.settings import NatsSettings
from services.sync.members import Members
from services.sync.opening import Openings
from services.sync.terms import fail_when

_FORWARD_SECONDS = 30.0
_WORKERS = "sync"
_STOP = 2.0


class Desk:
    """Answers what is about this worker's slices, and hands on the rest, once."""

    def __init__(self, client: Client, openings: Openings, members: Members) -> None:
        self._client = client
        self.openings = openings
        self._members = members

    @property
    def worker(self) -> str:
        return self._members.worker

    async def open(self, request: OpenRequest) -> OpenReply:
        number = slice_of(request.definition.digest())
        if self.openings.has(number):
            return await self.openings.open(request)
        answer = await self._ask(number, "open", request)
        if answer is None:
            return OpenReply(unavailable="the worker of sync that the shape belongs to does not answer")
        return OpenReply.model_validate_json(answer)

    async def drop(self, request: DropRequest) -> DropReply:
        number = slice_of(request.handle)
        if self.openings.has(number):
            return await self.openings.drop(request)
        answer = await self._ask(number, "drop", request)
        return DropReply.model_validate_json(answer) if answer is not None else DropReply(dropped=False)

    async def _ask(self, number: int, what: str, request: BaseModel) -> bytes | None:
        owner = self._members.owner(number, time.monotonic())
        if owner is None:
            return None
        subject = subjects.sync_worker(owner, what)
        with suppress(NatsError, TimeoutError):
            payload = request.model_dump_json().encode()
            return bytes((await self._client.request(subject, payload, timeout=_FORWARD_SECONDS)).data)
        return None


async def answer(settings: NatsSettings, desk: Desk) -> None:
    """Take requests on a connection of its own, which nothing outlives: whoever answers in the name of a term that is
    over would keep its callers waiting. Ends only by raising: BusLost when the connection breaks."""
    lost = asyncio.Event()
    broker = _broker(settings, desk, lost)
    connection = await broker.connect()
    try:
        await broker.start()
        await fail_when(lost)
    finally:
        with suppress(Exception):  # it fails while the bus is away, and there is nothing to do
            await asyncio.wait_for(broker.stop(), _STOP)
        await bus.close(connection)


def _broker(settings: NatsSettings, desk: Desk, lost: asyncio.Event) -> NatsBroker:
    async def is_lost() -> None:
        lost.set()

    made = NatsBroker(
        settings.servers, name="sync-requests", allow_reconnect=False, disconnected_cb=is_lost, logger=None
    )
    own = desk.worker

    @made.subscriber(subjects.SYNC_SHAPES_OPEN, queue=_WORKERS, max_workers=16)
    async def open_shape(request: OpenRequest) -> OpenReply:
        return await desk.open(request)

    @made.subscriber(subjects.sync_worker(own, "open"), max_workers=16)
    async def open_own_shape(request: OpenRequest) -> OpenReply:
        return await desk.openings.open(request)

    @made.subscriber(subjects.SYNC_SHAPES_DROP, queue=_WORKERS)
    async def drop_shape(request: DropRequest) -> DropReply:
        return await desk.drop(request)

    @made.subscriber(subjects.sync_worker(own, "drop"))
    async def drop_own_shape(request: DropRequest) -> DropReply:
        return await desk.openings.drop(request)

    return made
