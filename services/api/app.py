"""Wires the API; decides nothing."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from nats.aio.client import Client
from nats.js import JetStreamContext

from medley import __version__
from medley.blobs.opening import open_blobs
from medley.blobs.shelf import Shelf
from medley.gate import needs
from medley.gate.gate import Gate, guard, keeping
from medley.gate.judge import Build
from medley.gate.shipped import shipped
from medley.runtime import bus, postgres
from medley.runtime.process import unless_stopped
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.api import blobs, ingest, openapi, schema
from services.api.schema import Schema
from services.api.server import bind, serve
from services.api.settings import ApiSettings
from services.api.shape.feeds import Feeds
from services.api.shape.quick import Known, Told, Waits, Words
from services.api.shape.route import ShapeRoute
from services.api.shape.subset import Subsets

_LAST_SECONDS = 3.0
_SLASHES = re.compile(r"/{2,}")


class Backends(NamedTuple):
    """What the routes stand on."""

    client: Client
    js: JetStreamContext
    pool: asyncpg.Pool


class Application:
    """The outermost application: the two routes of the protocol are plain ASGI, everything else is FastAPI's.

    Paths are compared as decoded, without doubled and trailing slashes: one route, however it is spelt. `rest` is
    there while the gate is open; before, and after, every route says why nothing is served.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self.feeds = Feeds()
        self.shapes = ShapeRoute(self.feeds, settings)
        self.rest: FastAPI | None = None
        self.description = openapi.Description()
        self._gate: Gate | None = None
        self._schema: Schema | None = None
        self._always: FastAPI | None = None
        self.schema_routes = APIRouter()

    def guarded_by(self, gate: Gate, folder: Path) -> None:
        """From now on the gate is asked; what it knows is served whether it is open or not."""
        self._gate, self._schema = gate, Schema(gate, folder)
        self.schema_routes = schema.router(self._schema, gate)
        self._always = FastAPI(openapi_url=None)
        self._always.include_router(self.schema_routes)

    def known(self, words: Words) -> Known | None:
        """A read that need not go through here, unless nothing is served."""
        return self.shapes.quick.known(words) if self._closed is None else None

    def answer(self, known: Known, *, waited: bool = False) -> Told | Waits | None:
        return self.shapes.quick.answer(known, waited=waited) if self._closed is None else None

    @property
    def _closed(self) -> str | None:
        if self._gate is None:
            return "the API is starting: it waits for the bus"
        return self._gate.closed

    def _unfit(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        """Why a client whose copy has another schema is not fed; None when it is fine, or did not say."""
        asked = next((value for name, value in headers if name == schema.HEADER), None)
        given = self._schema.answer(asked.decode("latin-1")) if self._schema and asked is not None else None
        return None if given is None or given.is_served else f"schema {given.verdict}: {given.sentence}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        shapes = self.shapes
        if scope["type"] == "http":
            path = _SLASHES.sub("/", scope["path"]).rstrip("/") or "/"
            if path == "/v1/health":
                return await shapes.health(scope, send, self._closed)
            if path == "/v1/shape":
                return await shapes.shape(scope, receive, send, self._closed, self._unfit(scope["headers"]))
            if not await shapes.admitted(scope, send):
                return None
            scope = {**scope, "path": path, "raw_path": path.encode()}
            if self._always is not None and path in ("/v1/schema", "/v1/schema/bundle"):
                return await self._always(scope, receive, send)
            if path == openapi.PATH:
                return await self.description(scope, receive, send)
            if self._closed is not None or self.rest is None:
                return await shapes.not_now(scope, send, self._closed or "the API is starting")
            await self.rest(scope, receive, send)
        return None


def _rest(backends: Backends, shelf: Shelf, schema_routes: APIRouter) -> FastAPI:
    rest = FastAPI(title="Medley", version=__version__)
    rest.include_router(blobs.router(shelf))
    rest.include_router(ingest.router(backends.pool, backends.js))
    rest.include_router(schema_routes)  # for the documentation; asked, they answer before this

    @rest.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response()

    @rest.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> Response:
        return PlainTextResponse("Not found", 404)

    return rest


class Api:
    """Serves through the application while the gate is open."""

    def __init__(self, application: Application, http: asyncio.Task[None], stop: asyncio.Event) -> None:
        self._application = application
        self._http = http
        self._stop = stop
        self._nats, self._dsn = NatsSettings(), PostgresSettings()

    async def serve(self, closing: asyncio.Event) -> None:
        """With the bus, a pool and the feed of changes, until `closing` is set and those who wait are answered."""
        async with self._backends(closing) as backends:
            following = asyncio.create_task(self._follow(), name="feed")
            waiting = asyncio.create_task(closing.wait())
            with open_blobs(backends.pool) as stored:
                self._application.rest = _rest(backends, stored.shelf, self._application.schema_routes)
                self._application.description.of(self._application.rest)
                self._application.shapes.subsets = Subsets(backends.pool, self._application.settings.subset_seconds)
                try:
                    await asyncio.wait({waiting, following, self._http}, return_when=asyncio.FIRST_COMPLETED)
                    if following.done():
                        following.result()
                finally:
                    self._application.shapes.release()
                    if self._stop.is_set():
                        await asyncio.wait({self._http})  # while the last requests end, they are still served
                    self._application.rest = self._application.shapes.subsets = None
                    waiting.cancel()
                    following.cancel()
                    await asyncio.gather(waiting, following, return_exceptions=True)

    async def _follow(self) -> None:
        async def connect(on_lost: Callable[[], None]) -> Client:
            return await bus.connect(self._nats, "api-feed", on_lost)

        await self._application.feeds.run(connect, self._application.settings)

    @asynccontextmanager
    async def _backends(self, closing: asyncio.Event) -> AsyncIterator[Backends]:
        client = await unless_stopped(closing, bus.connect(self._nats, "api"))
        try:
            js = client.jetstream()
            await unless_stopped(closing, bus.ensure(js))
            pool = await unless_stopped(closing, postgres.open_pool(self._dsn, "medley-api"))
            try:
                yield Backends(client, js, pool)
            finally:
                with suppress(TimeoutError):  # what is being downloaded may end
                    await asyncio.wait_for(pool.close(), _LAST_SECONDS)
                pool.terminate()
        finally:
            await bus.close(client)


async def main(stop: asyncio.Event) -> None:
    """Listen, and serve while the gate is open, until told to stop."""
    settings, schema_settings = ApiSettings(), SchemaSettings()
    settings.check()
    application = Application(settings)
    build = Build(shipped(schema_settings.dir), needs.of_service(__file__))
    listening = bind(settings.host, settings.port)
    http = asyncio.create_task(
        serve(application, application, listening, stop, application.shapes.release), name="http"
    )
    api = Api(application, http, stop)
    try:
        async with keeping("api", build, PostgresSettings(), NatsSettings(), schema_settings, stop) as (gate, keeper):
            application.guarded_by(gate, schema_settings.dir)
            await guard(gate, keeper, stop, api.serve)
    finally:
        stop.set()
        await http
