"""This worker among the others: it says that it is there, and hears of them, whatever else it is doing.

A connection of its own, for as long as the process lives: a worker that takes up many shapes, or waits for Postgres, is
still there.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from medley.contracts import subjects
from medley.contracts.shapes import CaptureMark, Heartbeat
from medley.runtime import bus
from medley.runtime.settings import NatsSettings
from medley.runtime.together import together
from services.sync.marks import Marks
from services.sync.members import Members

log = structlog.get_logger()

_BEAT = 0.5
_SETTLED = 0.3
"""Seconds within which everybody who is there has answered a greeting."""
_MARK_PAUSE = 0.005
_LEAVE = 1.0


class Presence:
    """`beat`: what to say of this worker now."""

    def __init__(self, nats: NatsSettings, members: Members, marks: Marks, beat: Callable[[], Heartbeat]) -> None:
        self._nats = nats
        self._members = members
        self._marks = marks
        self._beat = beat
        self._since: float | None = None
        self._settled = asyncio.Event()

    async def run(self) -> None:
        client = await bus.connect(self._nats, "sync-presence", on_lost=self._lost)
        try:
            await client.subscribe(subjects.SYNC_HEARTBEAT, cb=self._on_beat)
            await client.subscribe(subjects.SYNC_MARK, cb=self._on_mark)

            async def answer(_: Msg) -> None:
                await self._say(client)

            await client.subscribe(subjects.SYNC_HELLO, cb=answer)
            await together(beats=self._beats(client), marks=self._tell(client))
        finally:
            if client.is_connected:
                leaving = self._beat().model_copy(update={"leaving": True})
                await client.publish(subjects.SYNC_HEARTBEAT, leaving.model_dump_json().encode())
            await bus.close(client, _LEAVE)

    async def settled(self) -> None:
        """Wait until everybody who is there has been heard."""
        await self._settled.wait()

    def _lost(self) -> None:
        self._since = None
        self._settled.clear()

    async def _beats(self, client: Client) -> None:
        while True:
            if client.is_connected:
                if self._since is None:
                    self._since = time.monotonic()
                    await client.publish(subjects.SYNC_HELLO, b"")
                await self._say(client)
            greeted = self._since is not None and not self._settled.is_set()
            await asyncio.sleep(_SETTLED if greeted else _BEAT)
            if greeted and self._since is not None:
                self._settled.set()

    async def _say(self, client: Client) -> None:
        beat = self._beat()
        await client.publish(subjects.SYNC_HEARTBEAT, beat.model_dump_json().encode())
        if beat.capturing and self._marks.newest is not None:
            await client.publish(subjects.SYNC_MARK, self._marks.newest.model_dump_json().encode())

    async def _tell(self, client: Client) -> None:
        """Marks for the others, as they come, when there are others."""
        while True:
            await self._marks.moved.wait()
            self._marks.moved.clear()
            if self._marks.newest is not None and self._members.others(time.monotonic()):
                await client.publish(subjects.SYNC_MARK, self._marks.newest.model_dump_json().encode())
            await asyncio.sleep(_MARK_PAUSE)

    async def _on_beat(self, message: Msg) -> None:
        self._members.heard(Heartbeat.model_validate_json(message.data), time.monotonic())

    async def _on_mark(self, message: Msg) -> None:
        if not self._beat().capturing:
            self._marks.heard(CaptureMark.model_validate_json(message.data))
