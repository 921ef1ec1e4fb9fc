"""Shapes as a client of the bus sees them: opened by request, their snapshot and log read from the stream SHAPES."""

import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import nats
import orjson
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from medley.contracts import headers, streams, subjects
from medley.contracts.positions import Positions
from medley.contracts.shapes import DropReply, DropRequest, OpenReply, OpenRequest, ShapeDefinition, ShapeRecord
from services.sync.announcements import Announced
from tests.support.library import Library, until

Message = dict[str, Any]


class Refusal(Exception):
    """Sync refused to open the shape; `errors` is by parameter."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass(frozen=True)
class OpenShape:
    """A shape that is open, by its record."""

    shapes: "Shapes"
    record: ShapeRecord

    @property
    def handle(self) -> str:
        return self.record.handle

    async def parts(self) -> list[RawStreamMsg]:
        """The messages of its snapshot, once the last one is there."""
        found: list[RawStreamMsg] = []

        async def whole() -> bool:
            found[:] = await self.shapes.stored(subjects.shape_snapshot(self.handle))
            return bool(found) and (found[-1].headers or {})[headers.FINAL] == "true"

        await until(whole, f"the snapshot of {self.handle} is whole")
        return found

    async def snapshot(self) -> list[Message]:
        """Its rows, without `snapshot-end`."""
        messages = [message for part in await self.parts() for message in orjson.loads(part.data or b"")]
        assert messages[-1]["headers"]["control"] == "snapshot-end"
        return messages[:-1]

    async def log(self) -> list[Message]:
        """Every entry of its log up to now; see `Shapes.caught_up`."""
        stored = await self.shapes.stored(subjects.shape_log(self.record.log))
        entries = [entry for message in stored for entry in orjson.loads(message.data or b"")]
        return [entry for entry in entries if int(entry["headers"]["lsn"]) > self.record.snapshot_end.tx]


class Shapes:
    """A connection to the bus and one to the database that sync follows."""

    def __init__(self, client: Client, database: asyncpg.Connection) -> None:
        self.client = client
        self.js = client.jetstream()
        self.database = database

    async def ask(self, table: str, schema: str = "public", **asked: Any) -> OpenReply:
        """Sync's answer; waits for a sync that is starting."""
        chunking = {"chunk_bytes": asked.pop("chunk_bytes")} if "chunk_bytes" in asked else {}
        request = OpenRequest(definition=ShapeDefinition(schema_name=schema, table=table, **asked), **chunking)
        answer: list[OpenReply] = []

        async def answered() -> bool:
            try:
                reply = await self.client.request(
                    subjects.SYNC_SHAPES_OPEN, request.model_dump_json().encode(), timeout=30
                )
            except (NoRespondersError, NatsTimeout):
                return False
            answer[:] = [OpenReply.model_validate_json(reply.data)]
            return answer[0].unavailable is None

        await until(answered, f"sync answers about {table}")
        return answer[0]

    async def open(self, table: str, schema: str = "public", **asked: Any) -> OpenShape:
        """Raises Refusal."""
        reply = await self.ask(table, schema, **asked)
        if reply.record is None:
            raise Refusal(reply.errors)
        return OpenShape(self, reply.record)

    async def drop(self, handle: str) -> bool:
        """Whether it was there."""
        request = DropRequest(handle=handle).model_dump_json().encode()
        reply = await self.client.request(subjects.SYNC_SHAPES_DROP, request, timeout=10)
        return DropReply.model_validate_json(reply.data).dropped

    async def is_open(self, handle: str) -> bool:
        bucket = await self.js.key_value(streams.SHAPES_BUCKET.name)
        try:
            return (await bucket.get(handle)).value is not None
        except NotFoundError:
            return False

    async def position(self) -> int:
        """The LSN that sync has announced for every shape; 0 before the first time."""
        positions = Positions()
        for said, _ in (await Announced.read(self.js)).by_number.values():
            positions.hear(said)
        return positions.of_all()

    async def caught_up(self) -> int:
        """Wait until every log holds what is committed by now; returns the position. Every LSN below it was sent."""
        written = await self.written()

        async def reached() -> bool:
            return await self.position() >= written - 1

        await until(reached, f"the position reaches {written - 1}")
        return await self.position()

    async def written(self) -> int:
        """Where the write-ahead log ends that is on disk."""
        return int(await self.database.fetchval("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"))

    async def stored(self, subject: str) -> list[RawStreamMsg]:
        """The subject's messages in SHAPES, oldest first."""
        found: list[RawStreamMsg] = []
        while True:
            after = (found[-1].seq or 0) + 1 if found else 1
            try:
                message = await self.js.get_msg(streams.SHAPES.name, seq=after, subject=subject, next=True)
            except NotFoundError:
                return found
            found.append(message)


@asynccontextmanager
async def connected(nats_url: str, database: asyncpg.Connection) -> AsyncIterator[Shapes]:
    client = await nats.connect(nats_url)
    try:
        yield Shapes(client, database)
    finally:
        await client.close()


@asynccontextmanager
async def running_sync(dsn: str, nats_url: str, logs: Path, **env: str) -> AsyncIterator[Library]:
    """migrator, then sync, as processes; no API."""
    environment = {
        **os.environ,
        "POSTGRES_DSN": dsn,
        "NATS_URL": nats_url,
        "SYNC_SLOT": f"test_{secrets.token_hex(6)}",
        "LOG_FORMAT": "json",
        **env,
    }
    library = Library(dsn, nats_url, "", logs, environment)
    try:
        await library.start("migrator")
        assert await library.processes.pop("migrator").wait() == 0, (logs / "migrator.log").read_text()
        await library.start("sync")
        yield library
    finally:
        for name in list(library.processes):
            await library.kill(name, signal.SIGTERM)
