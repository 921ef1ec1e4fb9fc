"""Requests about shapes: any worker takes them, and the one that has the shape's slice answers; FastStream takes them
and writes the replies.

On one connection for as long as the process lives: terms come and go beneath it.
"""

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
_TAKEN_SECONDS = 1.5
_LOOK = 0.02
_WORKERS = "sync"
_STOP = 2.0


class Desk:
    """Answers what is about this worker's slices, and hands on the rest, once. `openings`: of the term there is."""

    def __init__(self, members: Members) -> None:
        self.openings: Openings | None = None
        self._members = members
        self._client: Client | None = None

    async def open(self, request: OpenRequest) -> OpenReply:
        """To whom it belongs."""
        number = slice_of(request.definition.digest())
        if await self._taken(number):
            return await self.open_own(request)
        answer = await self._ask(number, "open", request)
        if answer is None:
            return OpenReply(unavailable="the worker of sync that the shape belongs to does not answer; try again")
        return OpenReply.model_validate_json(answer)

    async def open_own(self, request: OpenRequest) -> OpenReply:
        if self.openings is None:
            return OpenReply(unavailable="this worker of sync is between two terms; try again")
        return await self.openings.open(request)

    async def drop(self, request: DropRequest) -> DropReply:
        """To whom it belongs."""
        number = slice_of(request.handle)
        if await self._taken(number):
            return await self.drop_own(request)
        answer = await self._ask(number, "drop", request)
        return DropReply.model_validate_json(answer) if answer is not None else DropReply(dropped=False)

    async def drop_own(self, request: DropRequest) -> DropReply:
        return await self.openings.drop(request) if self.openings is not None else DropReply(dropped=False)

    async def _taken(self, number: int) -> bool:
        """Whether the slice is this worker's; waits a little when it is nobody's yet."""
        deadline = time.monotonic() + _TAKEN_SECONDS
        while self.openings is None or not self.openings.has(number):
            now = time.monotonic()
            if self._members.owner(number, now) is not None or now > deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def _ask(self, number: int, what: str, request: BaseModel) -> bytes | None:
        owner = self._members.owner(number, time.monotonic())
        if owner is None or self._client is None:
            return None
        subject = subjects.sync_worker(owner, what)
        with suppress(NatsError, TimeoutError):
            payload = request.model_dump_json().encode()
            return bytes((await self._client.request(subject, payload, timeout=_FORWARD_SECONDS)).data)
        return None

    async def run(self, settings: NatsSettings) -> None:
        """Ends only by raising."""
        closed = asyncio.Event()
        broker = self._broker(settings, closed)
        self._client = await broker.connect()
        try:
            await broker.start()
            await fail_when(closed)
        finally:
            with suppress(Exception):  # it fails while the bus is away, and there is nothing to do
                await asyncio.wait_for(broker.stop(), _STOP)
            await bus.close(self._client)

    def _broker(self, settings: NatsSettings, closed: asyncio.Event) -> NatsBroker:
        async def is_closed() -> None:
            closed.set()

        made = NatsBroker(
            settings.servers,
            name="sync-requests",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            closed_cb=is_closed,
            logger=None,
        )
        own = self._members.worker
        made.subscriber(subjects.SYNC_SHAPES_OPEN, queue=_WORKERS, max_workers=64)(self.open)
        made.subscriber(subjects.sync_worker(own, "open"), max_workers=64)(self.open_own)
        made.subscriber(subjects.SYNC_SHAPES_DROP, queue=_WORKERS)(self.drop)
        made.subscriber(subjects.sync_worker(own, "drop"))(self.drop_own)
        return made
