"""Keeps a feed alive: a new one, rebuilt from the streams, when the connection breaks or the streams are others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext

from medley.contracts import streams
from medley.runtime import bus
from medley.runtime.errors import Transient
from medley.runtime.together import together, told_to_end
from services.api.settings import ApiSettings
from services.api.shape.feed import Feed

log = structlog.get_logger()

_RETRY_FEED = 0.25
_LOOK = 2.0

Connect = Callable[[Callable[[], None]], Awaitable[Client]]
"""Connects to NATS; the argument is called when the connection breaks."""


class Feeds:
    """The feed there is, and the wait for one."""

    def __init__(self) -> None:
        self.current: Feed | None = None
        self._there = asyncio.Event()

    async def get(self, within: float) -> Feed:
        """The feed, as soon as there is one. Raises Transient after `within` seconds."""
        if self.current is not None:
            return self.current
        try:
            async with asyncio.timeout(within):
                while self.current is None:
                    await self._there.wait()
        except TimeoutError:
            raise Transient("the bus is not connected") from None
        return self.current

    def _use(self, feed: Feed) -> None:
        self.current = feed
        self._there.set()

    @asynccontextmanager
    async def _connected(self, client: Client, reads: Client, settings: ApiSettings) -> AsyncIterator[Feed]:
        feed = Feed(client, reads, settings)
        await feed.subscribe()
        try:
            yield feed
        finally:
            self.current = None
            self._there.clear()
            feed.close()

    async def run(self, connect: Connect, settings: ApiSettings) -> None:
        while True:
            lost = asyncio.Event()
            clients: list[Client] = []
            try:
                clients.append(client := await connect(lost.set))
                clients.append(reads := await connect(lost.set))
                identities = await _identities(client.jetstream())
                async with self._connected(client, reads, settings) as feed:
                    await together(
                        feed=feed.run(partial(self._use, feed)),
                        reads=feed.reads.tell(client),
                        streams=_unless_replaced(client.jetstream(), identities),
                        bus=_fail_when(lost),
                    )
            except Exception as error:  # whatever it was, all is learnt anew
                log.warning("feed broken", error=repr(error))
                await asyncio.sleep(_RETRY_FEED)
            except asyncio.CancelledError:
                if told_to_end():
                    raise
                log.warning("feed broken", error="a library gave up what it waited for")
            finally:
                for each in clients:
                    await bus.close(each)


async def _fail_when(lost: asyncio.Event) -> None:
    await lost.wait()
    raise Transient("the connection to NATS broke")


async def _identities(js: JetStreamContext) -> tuple[str, str]:
    """Which streams they are that a feed is made of."""
    await bus.ensure_bucket(js, streams.SHAPES_BUCKET)
    return (
        await bus.stream_identity(js, streams.SHAPES.name),
        await bus.stream_identity(js, f"KV_{streams.SHAPES_BUCKET.name}"),
    )


async def _unless_replaced(js: JetStreamContext, identities: tuple[str, str]) -> None:
    """Raises when they were deleted: consumers go with a stream, and nothing would ever come again."""
    while True:
        await asyncio.sleep(_LOOK)
        with suppress(NatsTimeout):
            if await _identities(js) != identities:
                raise Transient("the streams of shapes were deleted")
