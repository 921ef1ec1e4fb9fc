"""Reads a subject of a stream from its oldest message, or from a place, to where it ended when asked. Few messages are
in memory at a time; the stream's other readers do not notice."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from medley.runtime.errors import Unavailable

_LEAST = 8  # of half a mebibyte each, as a rule
_MOST = 500
_ROOM = 4 * 1024 * 1024
_SECONDS = 5.0
_TRIES = 6


class Stored(NamedTuple):
    sequence: int
    headers: Mapping[str, str]
    payload: bytes


async def newest(js: JetStreamContext, stream: str, subject: str) -> int:
    """The sequence of the subject's last message; 0 where there is none."""
    try:
        return (await js.get_last_msg(stream, subject, direct=True)).seq or 0
    except NotFoundError:
        return 0


async def messages(
    js: JetStreamContext, stream: str, subject: str, upto: int, start: int = 0, bare: bool = False
) -> AsyncIterator[Stored]:
    """Oldest first; `bare`: headers only. Raises Unavailable when the bus does not answer."""
    if not upto:
        return
    async with _consumer(js, stream, subject, start, bare) as subscription:
        batch, silent = _LEAST, 0
        left = (await subscription.consumer_info()).num_pending or 0
        while left:
            try:
                # Never more than there is: the library would wait for the rest.
                found = await subscription.fetch(min(batch, left), timeout=_SECONDS)
            except NatsTimeout as error:
                left = (await subscription.consumer_info()).num_pending or 0  # none when it was purged meanwhile
                if (silent := silent + 1) == _TRIES:
                    raise Unavailable(f"the bus sends nothing of {subject}; try again") from error
                continue
            silent, left = 0, found[-1].metadata.num_pending
            for message in found:
                sequence = message.metadata.sequence.stream
                if sequence <= upto:
                    yield Stored(sequence, message.headers or {}, message.data)
                if sequence >= upto:
                    return
            batch = fitting(len(found), sum(len(message.data) for message in found))


def fitting(messages: int, size: int) -> int:
    """How many to ask for next, when so many were of this size. Pure."""
    return max(_LEAST, min(_MOST, _ROOM * messages // (size + 1)))


@asynccontextmanager
async def _consumer(
    js: JetStreamContext, stream: str, subject: str, start: int, bare: bool
) -> AsyncIterator[JetStreamContext.PullSubscription]:
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE if start else DeliverPolicy.ALL,
        opt_start_seq=start or None,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        headers_only=bare,
        inactive_threshold=60,
    )
    subscription = await js.pull_subscribe(subject, stream=stream, config=config)
    try:
        yield subscription
    finally:
        with suppress(NatsError):
            name = (await subscription.consumer_info()).name
            await subscription.unsubscribe()
            await js.delete_consumer(stream, name)
