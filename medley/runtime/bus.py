"""The bus: connecting to NATS, and making the streams and buckets that the contracts name."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import nats
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, BucketNotFoundError, NotFoundError, ServerError
from nats.js.kv import KeyValue

from medley.contracts.streams import BUCKETS, STREAMS, Bucket, Stream
from medley.runtime.errors import Unavailable
from medley.runtime.retry import attempts
from medley.runtime.settings import NatsSettings

log = structlog.get_logger()

_TRY_SECONDS = 5.0
_NO_ROOM = 10047
_FULL = 10023
_LEAST_BYTES = 1024 * 1024


def shown(servers: list[str]) -> str:
    """Addresses without user and password, for messages."""
    return ", ".join(f"{urlsplit(s).hostname}:{urlsplit(s).port or 4222}" for s in servers)


def is_full(error: BaseException) -> bool:
    """Whether JetStream refused a message since its store is full: to take something away is what helps."""
    return isinstance(error, APIError) and getattr(error, "err_code", None) == _FULL  # some of nats-py's have none


async def connect(settings: NatsSettings, name: str, on_lost: Callable[[], None] | None = None) -> Client:
    """A connection that reconnects for ever once made; `on_lost` is called each time it breaks.

    Raises Unavailable after `wait_seconds`.
    """

    async def lost() -> None:
        if client is not None and client.is_closed:
            return
        log.warning("bus lost, reconnecting", servers=shown(settings.servers))
        if on_lost is not None:
            on_lost()

    async def found() -> None:
        log.info("bus reconnected")

    async def failed(error: Exception) -> None:
        log.debug("bus error", error=repr(error))

    client: Client | None = None
    last: Exception | None = None
    async for number in attempts(settings.wait_seconds):
        try:
            connecting = nats.connect(
                settings.servers,
                name=name,
                connect_timeout=2,
                allow_reconnect=False,  # until it is connected: else it would try for ever, and say nothing
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,
                ping_interval=20,
                disconnected_cb=lost,
                reconnected_cb=found,
                error_cb=failed,
            )
            # A try of its own ends by itself: to a port that refuses, the client would try for ever.
            client = await asyncio.wait_for(connecting, _TRY_SECONDS)
            client.options["allow_reconnect"] = True
            return client
        except (OSError, NatsError, TimeoutError) as error:
            last = error
            if number == 4:
                log.info("waiting for nats", servers=shown(settings.servers), reason=repr(error))
    raise Unavailable(
        f"no NATS server at {shown(settings.servers)} within {settings.wait_seconds:g} s ({last!r}). "
        "Start it, or correct NATS_URL."
    )


def _stream_config(stream: Stream, max_bytes: int) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE if stream.retention == "workqueue" else RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=stream.max_age,
        max_bytes=max_bytes or -1,
        duplicate_window=stream.duplicate_window,
        allow_direct=True,
        allow_rollup_hdrs=True,
    )


async def ensure(js: JetStreamContext) -> None:
    """Make every stream and bucket that is missing; safe to repeat, and from several services at once."""
    for stream in STREAMS:
        await ensure_stream(js, stream)
    for bucket in BUCKETS:
        await ensure_bucket(js, bucket)


async def ensure_stream(js: JetStreamContext, stream: Stream) -> None:
    try:
        await js.stream_info(stream.name)
    except NotFoundError:
        await _make_stream(js, stream)


async def _make_stream(js: JetStreamContext, stream: Stream) -> None:
    """With the limit that it should have, or what the bus has room for: it reserves as much as a limit says."""
    size = stream.max_bytes
    while True:
        try:
            await js.add_stream(_stream_config(stream, size))
        except BadRequestError:
            await js.stream_info(stream.name)  # made by another service meanwhile
        except ServerError as error:
            if error.err_code != _NO_ROOM or size // 4 < _LEAST_BYTES:
                raise
            size //= 4  # so that others have room beside it
            continue
        if size < stream.max_bytes:
            log.warning("the bus has little room", stream=stream.name, bytes=size, wanted=stream.max_bytes)
        return


async def ensure_bucket(js: JetStreamContext, bucket: Bucket) -> KeyValue:
    try:
        return await js.key_value(bucket.name)
    except BucketNotFoundError:
        try:
            return await js.create_key_value(
                KeyValueConfig(bucket=bucket.name, history=bucket.history, storage=StorageType.FILE, direct=True)
            )
        except BadRequestError:
            return await js.key_value(bucket.name)


async def stream_identity(js: JetStreamContext, name: str) -> str:
    """A text that differs when the stream was deleted and made again: its time of creation."""
    info = await js._api_request(f"{js._prefix}.STREAM.INFO.{name}", timeout=5)
    return str(info["created"])


async def close(connection: Client, within: float = 1.0) -> None:
    """Flush what was published and close, in at most about twice `within` seconds, also when the server is gone.

    Never raises: the library's own close fails on a transport that is closed already, or is cancelled with what it
    waits for, and there is nothing to do.
    """
    if connection.is_connected:
        await _try(connection.flush(), within)
    await _try(connection.close(), within)


async def _try(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """For so long; whatever becomes of it."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
