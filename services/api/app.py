"""Wires the API; decides nothing."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import asyncpg
from fastapi import FastAPI
from nats.aio.client import Client
from nats.js import JetStreamContext

from medley import __version__
from medley.blobs.opening import open_blobs
from medley.runtime import bus, gate, postgres
from medley.runtime.process import unless_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings
from services.api import blobs, ingest
from services.api.server import bind, serve
from services.api.settings import ApiSettings
from services.api.shape.feed import Feeds
from services.api.shape.route import ShapeRoute

_SLASHES = re.compile(r"/{2,}")


def dispatch(shapes: ShapeRoute, rest: FastAPI) -> Any:
    """The outermost application: the two routes of the protocol are plain ASGI, everything else is FastAPI's.

    Paths are compared as decoded, without doubled and trailing slashes: one route, however it is spelt.
    """

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = _SLASHES.sub("/", scope["path"]).rstrip("/") or "/"
            if path == "/v1/shape":
                return await shapes.shape(scope, send)
            if path == "/v1/health":
                return await shapes.health(scope, send)
            if not await shapes.admitted(scope, send):
                return None
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await rest(scope, receive, send)
        return None

    return application


class Backends(NamedTuple):
    """What the routes stand on."""

    client: Client
    js: JetStreamContext
    pool: asyncpg.Pool


async def _start(nats: NatsSettings, dsn: PostgresSettings) -> Backends:
    """Through the gate, with the bus and a pool."""
    client = await bus.connect(nats, "api")
    js = client.jetstream()
    try:
        await gate.wait(js)
        await bus.ensure(js)
        return Backends(client, js, await postgres.open_pool(dsn, "medley-api"))
    except BaseException:
        await bus.close(client)
        raise


async def main(stop: asyncio.Event) -> None:
    """Wait at the gate, then serve until told to stop."""
    settings, nats, dsn = ApiSettings(), NatsSettings(), PostgresSettings()
    settings.check()
    listening = bind(settings.host, settings.port)

    async def connect(on_lost: Callable[[], None]) -> Client:
        return await bus.connect(nats, "api-feed", on_lost)

    client, js, pool = await unless_stopped(stop, _start(nats, dsn))
    feeds = Feeds()
    following = asyncio.create_task(feeds.run(connect, settings.tail_bytes, settings.open_seconds), name="feed")
    shapes = ShapeRoute(feeds, settings)
    try:
        with open_blobs(pool) as stored:
            rest = FastAPI(title="Medley", version=__version__)
            rest.include_router(blobs.router(stored.shelf))
            rest.include_router(ingest.router(pool, js))
            await serve(dispatch(shapes, rest), listening, stop, shapes.release)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await bus.close(client)
        pool.terminate()
