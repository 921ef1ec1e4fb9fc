"""Wires the API; decides nothing."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from nats.aio.client import Client
from nats.js import JetStreamContext

from medley import __version__
from medley.blobs.opening import open_blobs
from medley.blobs.shelf import Shelf
from medley.runtime import bus, gate, postgres
from medley.runtime.process import unless_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings
from services.api import blobs, ingest
from services.api.server import bind, serve
from services.api.settings import ApiSettings
from services.api.shape.feed import Feeds
from services.api.shape.route import ShapeRoute

_SLASHES = re.compile(r"/{2,}")


class Backends(NamedTuple):
    """What the routes stand on."""

    client: Client
    js: JetStreamContext
    pool: asyncpg.Pool


class Application:
    """The outermost application: the two routes of the protocol are plain ASGI, everything else is FastAPI's.

    Paths are compared as decoded, without doubled and trailing slashes: one route, however it is spelt. `rest` is
    there once the gate is open; until then the process already says that it is starting.
    """

    def __init__(self, shapes: ShapeRoute) -> None:
        self._shapes = shapes
        self.rest: FastAPI | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        shapes = self._shapes
        if scope["type"] == "http":
            path = _SLASHES.sub("/", scope["path"]).rstrip("/") or "/"
            if path == "/v1/shape":
                return await shapes.shape(scope, send)
            if path == "/v1/health":
                return await shapes.health(scope, send)
            if not await shapes.admitted(scope, send):
                return None
            if self.rest is None:
                return await shapes.not_yet(scope, send)
            scope = {**scope, "path": path, "raw_path": path.encode()}
            await self.rest(scope, receive, send)
        return None


def _rest(backends: Backends, shelf: Shelf) -> FastAPI:
    rest = FastAPI(title="Medley", version=__version__)
    rest.include_router(blobs.router(shelf))
    rest.include_router(ingest.router(backends.pool, backends.js))

    @rest.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response()

    @rest.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> Response:
        return PlainTextResponse("Not found", 404)

    return rest


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
    """Listen, wait at the gate, then serve until told to stop."""
    settings, nats, dsn = ApiSettings(), NatsSettings(), PostgresSettings()
    settings.check()
    feeds = Feeds()
    shapes = ShapeRoute(feeds, settings)
    application = Application(shapes)
    listening = bind(settings.host, settings.port)
    serving = asyncio.create_task(serve(application, listening, stop, shapes.release), name="http")
    try:
        backends = await unless_stopped(stop, _start(nats, dsn))
        try:
            await _serve(application, backends, feeds, settings, nats, stop, serving)
        finally:
            await bus.close(backends.client)
            backends.pool.terminate()
    finally:
        stop.set()
        await serving


async def _serve(
    application: Application,
    backends: Backends,
    feeds: Feeds,
    settings: ApiSettings,
    nats: NatsSettings,
    stop: asyncio.Event,
    serving: asyncio.Task[None],
) -> None:
    async def connect(on_lost: Callable[[], None]) -> Client:
        return await bus.connect(nats, "api-feed", on_lost)

    following = asyncio.create_task(feeds.run(connect, settings.tail_bytes, settings.open_seconds), name="feed")
    with open_blobs(backends.pool) as stored:
        application.rest = _rest(backends, stored.shelf)
        try:
            await asyncio.wait({serving, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            stop.set()
            await asyncio.wait({serving})  # while requests end, the feed still serves them
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
