"""Waits until sync has announced that logs have come up to an LSN: what was said last, and what is said from now on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from medley.contracts import streams, subjects
from medley.contracts.positions import Positions
from medley.contracts.shapes import Announcement
from medley.contracts.slices import SLICES
from medley.runtime.errors import Unavailable

_REREAD = 1.0


class Announced:
    """`patience`: seconds in which the position does not move before sync counts as stopped."""

    def __init__(self, client: Client, patience: float) -> None:
        self._js = client.jetstream()
        self._patience = patience
        self._positions = Positions()
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def listening(cls, client: Client, patience: float) -> AsyncIterator["Announced"]:
        announced = cls(client, patience)
        subscription = await client.subscribe(subjects.SHAPE_POSITIONS, cb=announced._said)
        try:
            await announced._read()
            yield announced
        finally:
            await subscription.unsubscribe()

    async def _said(self, message: Msg) -> None:
        self._hear(message.data)

    def _hear(self, text: bytes) -> None:
        self._positions.hear(Announcement.model_validate_json(text))
        self._news.set()

    async def _read(self) -> None:
        async def last(number: int) -> None:
            try:
                found = await self._js.get_last_msg(streams.SHAPES.name, subjects.shape_position(number))
            except NotFoundError:
                return
            self._hear(found.data or b"")

        await asyncio.gather(*map(last, range(SLICES)))

    async def reaches(self, lsn: int, handle: str | None = None) -> None:
        """The position of the shape's slice, or of all; as long as it moves it is waited for. Raises Unavailable."""
        said, moved = self._position(handle), time.monotonic()
        while said < lsn:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), _REREAD)
            except TimeoutError:
                await self._read()
            if (now := self._position(handle)) > said:
                said, moved = now, time.monotonic()
            elif time.monotonic() - moved > self._patience:
                raise Unavailable(
                    f"sync has announced {said}, needed {lsn}, and nothing for {self._patience:g} s; is it running?"
                )

    def _position(self, handle: str | None) -> int:
        return self._positions.of(handle) if handle is not None else self._positions.of_all()
