"""All of the stream SHAPES through one consumer: snapshots and logs by handle, and the position that was announced."""

import asyncio
from collections import defaultdict
from typing import Any

import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from medley.contracts import headers, streams, subjects
from medley.contracts.positions import Positions
from medley.contracts.shapes import Announcement
from tests.support.shapes import Shapes

Message = dict[str, Any]


class Received:
    """What was sent of one shape. `whole`: its snapshot's last part was seen."""

    def __init__(self) -> None:
        self.snapshot: list[Message] = []
        self.log: list[Message] = []
        self.whole = asyncio.Event()


class Reader:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._handles: dict[str, Received] = defaultdict(Received)
        self._positions = Positions()
        self._sequence = 0
        self._moved = asyncio.Condition()

    async def start(self) -> None:
        await self._shapes.js.subscribe(
            subjects.SHAPE_ANY, stream=streams.SHAPES.name, ordered_consumer=True, cb=self._receive
        )

    async def beats(self) -> Subscription:
        """What sync says while it serves."""
        return await self._shapes.client.subscribe(subjects.SYNC_HEARTBEAT)

    def of(self, handle: str) -> Received:
        return self._handles[handle]

    def forget(self, handle: str) -> None:
        self._handles.pop(handle, None)

    async def caught_up(self, written: int, patience: float = 120) -> None:
        """Wait until every log holds what was committed below that LSN, and all of the stream was seen."""
        async with asyncio.timeout(patience):
            await self._until(position=written - 1)
            last = (await self._shapes.js.stream_info(streams.SHAPES.name)).state.last_seq
            await self._until(sequence=last)

    async def _until(self, position: int = 0, sequence: int = 0) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._positions.of_all() >= position and self._sequence >= sequence)

    async def _receive(self, message: Msg) -> None:
        _, handle, part = message.subject.split(".")
        if handle == "position":
            self._positions.hear(Announcement.model_validate_json(message.data))
        else:
            received = self._handles[handle]
            (received.log if part == "log" else received.snapshot).extend(orjson.loads(message.data))
            if part == "snapshot" and (message.headers or {}).get(headers.FINAL) == "true":
                received.whole.set()
        async with self._moved:
            self._sequence = message.metadata.sequence.stream
            self._moved.notify_all()
