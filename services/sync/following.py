"""Follow a stream in order, with no more on its way than there is room for.

A pull consumer, asked for a window of messages at a time (NATS ADR-13, ADR-37): what is not asked for is not sent. The
client library's ordered push consumer answers the server's flow control before a message was taken in, so that a
backlog piles up in the process.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from medley.runtime.errors import Transient

_WINDOW = 512
_WINDOW_BYTES = 16 * 1024 * 1024
_EXPIRES = 30.0
_HEARTBEAT = 5.0
_SILENCE = 3 * _HEARTBEAT
_KEPT = 60.0
"""Seconds for which the server keeps the consumer of somebody who asks no more."""

Receive = Callable[[Msg], Awaitable[None]]
Room = Callable[[], Awaitable[None]]
Enough = Callable[[], bool]


class Stopped(Transient):
    """The server does not send the stream any more."""


class Following:
    """`receive` is called with one message after another; `room` returns when there is room for a window; `enough` says
    when no more is needed."""

    def __init__(self, client: Client, stream: str, receive: Receive, room: Room, enough: Enough) -> None:
        self._client = client
        self._stream = stream
        self._receive = receive
        self._room = room
        self._enough = enough
        self._heard = 0.0
        self._left = 0
        self._over = asyncio.Event()
        self._fault: str | None = None

    async def run(self, subject: str, sequence: int) -> None:
        """From the message of that sequence on, until there is enough. Raises Stopped."""
        js = self._client.jetstream()
        config = ConsumerConfig(
            filter_subject=subject,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=sequence,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=_KEPT,
        )
        consumer = await js.add_consumer(self._stream, config)
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox, cb=self._take, pending_bytes_limit=4 * _WINDOW_BYTES)
        try:
            while not self._enough():
                await self._room()
                await self._ask(f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer.name}", inbox)
            await js.delete_consumer(self._stream, consumer.name)
        finally:
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def _ask(self, subject: str, inbox: str) -> None:
        """One window; returns when it is over."""
        clock = asyncio.get_running_loop().time
        self._left, self._heard = _WINDOW, clock()
        self._over.clear()
        request = {
            "batch": _WINDOW,
            "max_bytes": _WINDOW_BYTES,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
        }
        await self._client.publish(subject, json.dumps(request).encode(), reply=inbox)
        while not self._over.is_set():
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    await self._over.wait()
            except TimeoutError:
                if clock() - self._heard > _SILENCE:
                    raise Stopped(f"the stream {self._stream} is silent") from None
        if self._fault is not None:
            raise Stopped(f"the stream {self._stream} is not sent any more: {self._fault}")

    async def _take(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        status = (message.headers or {}).get("Status")
        if status is None:
            await self._receive(message)
            self._left -= 1
            if self._left == 0 or self._enough():
                self._over.set()
        elif status != "100":  # a heartbeat
            said = (message.headers or {}).get("Description", "")
            if status not in ("404", "408") and "MaxBytes" not in said and "Batch Completed" not in said:
                self._fault = f"{status} {said}"
            self._over.set()
