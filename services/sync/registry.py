"""The registry: which shapes there are (bucket `shapes`), and what the streams were fed from (bucket `sync`)."""

import secrets
from contextlib import suppress
from dataclasses import dataclass

from nats.js import JetStreamContext
from nats.js.errors import APIError, KeyNotFoundError, NotFoundError
from nats.js.kv import KeyValue

from medley.contracts import headers, streams, subjects
from medley.contracts.shapes import ShapeRecord
from medley.runtime import buckets, bus
from medley.runtime.errors import Transient


@dataclass(frozen=True, slots=True)
class Registry:
    js: JetStreamContext
    shapes: KeyValue
    state: KeyValue

    @classmethod
    async def open(cls, js: JetStreamContext) -> "Registry":
        return cls(
            js,
            await bus.ensure_bucket(js, streams.SHAPES_BUCKET),
            await bus.ensure_bucket(js, streams.SYNC_BUCKET),
        )

    async def records(self) -> list[ShapeRecord]:
        found = await buckets.entries(self.js, streams.SHAPES_BUCKET)
        return [ShapeRecord.model_validate_json(text) for text in found.values()]

    async def put(self, record: ShapeRecord) -> int:
        """Returns the entry's revision."""
        return await self.shapes.put(record.handle, record.model_dump_json().encode())

    async def complete(self, record: ShapeRecord, revision: int) -> None:
        """The record again, its snapshot whole; it must be as it was put. Raises KeyWrongLastSequenceError."""
        await self.shapes.update(record.handle, record.model_dump_json().encode(), last=revision)

    async def forget_begun(self, record: ShapeRecord) -> None:
        """Forget one whose snapshot is not whole, unless whoever exports it has just made it so: then Transient."""
        try:
            found = await self.shapes.get(record.handle)
        except KeyNotFoundError:
            return await self.forget(record.handle)
        if ShapeRecord.model_validate_json(found.value or b"") != record:
            raise Transient(f"the snapshot of {record.handle} was completed meanwhile")
        return await self.forget(record.handle, found.revision)

    async def forget(self, handle: str, revision: int | None = None) -> None:
        """First the record, so that no client is led to the handle any more, then its messages. Repeat freely.

        On a bus without room even for that word, the snapshot first: without it, no shape is taken up again.
        Raises KeyWrongLastSequenceError when the record is not at the revision any more.
        """
        try:
            await self.shapes.delete(handle, last=revision)
        except APIError as error:
            if not bus.is_full(error):
                raise
            await self._purge(handle)
            await self.shapes.delete(handle)
        await self._purge(handle)

    async def _purge(self, handle: str) -> None:
        await self.js.purge_stream(streams.SHAPES.name, subject=subjects.shape_snapshot(handle))
        await self.js.purge_stream(streams.SHAPES.name, subject=subjects.shape_log(handle))

    async def has_snapshot(self, handle: str) -> bool:
        """Whether the snapshot's first and last part are in the stream."""
        subject = subjects.shape_snapshot(handle)
        try:
            first = await self.js.get_msg(streams.SHAPES.name, seq=1, subject=subject, next=True, direct=True)
            last = await self.js.get_last_msg(streams.SHAPES.name, subject, direct=True)
        except NotFoundError:
            return False
        return (first.headers or {}).get(headers.PART) == "0" and (last.headers or {}).get(headers.FINAL) == "true"

    async def database(self) -> str | None:
        """The identity of the database that the streams were fed from."""
        try:
            return ((await self.state.get("database")).value or b"").decode()
        except KeyNotFoundError:
            return None

    async def save_database(self, identity: str) -> None:
        await self.state.put("database", identity.encode())

    async def era(self) -> str:
        """Which capture the streams are of: another one after everything had to start afresh, and none until there is a
        slot again: a shape that is opened meanwhile would lack what is written before that. Raises Transient."""
        with suppress(KeyNotFoundError):
            if known := (await self.state.get("era")).value:
                return known.decode()
        raise Transient("everything starts afresh; try again")

    async def end_era(self) -> None:
        """What was captured up to now cannot be continued: every worker waits, and begins anew."""
        await self.state.put("era", b"")

    async def begin_era(self) -> None:
        """From here on nothing is lost, unless one has begun already."""
        try:
            await self.era()
        except Transient:
            await self.state.put("era", secrets.token_hex(8).encode())

    async def changes_id(self) -> str:
        """The identity of what CHANGES holds: another one once it was made again, or everything started afresh. Raises
        Transient while that is under way."""
        return f"{await bus.stream_identity(self.js, streams.CHANGES.name)}/{await self.era()}"
