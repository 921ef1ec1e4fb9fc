"""Wires the API; decides nothing."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from nats.aio.client import Client

from medley import __version__
from medley.runtime import bus, gate, postgres
from medley.runtime.settings import NatsSettings, PostgresSettings
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
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await rest(scope, receive, send)
        return None

    return application


async def main(stop: asyncio.Event) -> None:
    """Wait at the gate, then serve until told to stop."""
    settings, nats, dsn = ApiSettings(), NatsSettings(), PostgresSettings()
    settings.check()
    listening = bind(settings.host, settings.port)

    async def connect(on_lost: Callable[[], None]) -> Client:
        return await bus.connect(nats, "api-feed", on_lost)

    client = await bus.connect(nats, "api")
    js = client.jetstream()
    await gate.wait(js)
    await bus.ensure(js)
    pool = await postgres.open_pool(dsn, "medley-api")
    feeds = Feeds()
    following = asyncio.create_task(feeds.run(connect, settings.tail_bytes, settings.open_seconds), name="feed")
    rest = FastAPI(title="Medley", version=__version__)
    try:
        await serve(dispatch(ShapeRoute(feeds, settings), rest), listening, stop)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await bus.close(client)
        pool.terminate()
