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

_BATCH = 16  # of half a mebibyte at most
_BARE_BATCH = 500
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
        silent = 0
        while True:
            try:
                batch = await subscription.fetch(_BARE_BATCH if bare else _BATCH, timeout=_SECONDS)
            except NatsTimeout as error:
                if not (await subscription.consumer_info()).num_pending:
                    return  # purged meanwhile
                if (silent := silent + 1) == _TRIES:
                    raise Unavailable(f"the bus sends nothing of {subject}; try again") from error
                continue
            silent = 0
            for message in batch:
                sequence = message.metadata.sequence.stream
                if sequence > upto:
                    return
                yield Stored(sequence, message.headers or {}, message.data)
                if sequence == upto:
                    return


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
