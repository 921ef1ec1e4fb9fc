"""How changes leave Postgres: the streaming replication protocol, over asyncpg's authenticated connection.

The only file that knows this protocol. asyncpg does the address, TLS and SCRAM; then its transport is ours: it
offers no replication mode of its own. `_transport` is a private attribute, so the dependency is pinned to one minor
version and a test holds it. Weighed against psycopg (LGPL, no faster: the walsender is half of the cost) and polling
`pg_logical_slot_get_binary_changes` (4 to 12 ms of latency, and 100 ms with any transaction open).
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from struct import Struct
from typing import Any

import asyncpg

from medley.runtime.errors import Permanent, Transient
from medley.runtime.postgres import SESSION
from services.sync.pgoutput import POSTGRES_EPOCH

_LENGTH = Struct("!I")
_STATUS = Struct("!cQQQqB")
_U64 = Struct("!Q")

_START_SECONDS = 30
_ASK_SECONDS = 5.0
_PAUSE_AT = 8 * 1024 * 1024  # bytes received and not yet taken

SLOT_IS_ACTIVE = "55006"
KEEPALIVE = ord("k")
WAL_HEADER = 25  # bytes before pgoutput's message in a 'w' frame


class SlotBusy(Transient):
    """Another capture holds the slot."""


class SlotInvalid(Permanent):
    """The slot exists and can no longer be used; `medley` must start afresh from the database."""


class StreamEnded(Transient):
    """The connection closed, or Postgres ended the stream."""


class _Wire(asyncio.Protocol):
    """Collects CopyData frames; stops reading while too much waits to be taken."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._rest = b""
        self._frames: deque[bytes] = deque()
        self._held = 0
        self.paused = False
        self._wake = asyncio.Event()
        self.started = asyncio.Event()
        self.heard = time.monotonic()
        self.failure: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        buffer = self._rest + data if self._rest else data
        place, end = 0, len(buffer)
        while end - place >= 5:
            after = place + 1 + _LENGTH.unpack_from(buffer, place + 1)[0]
            if after > end:
                break
            self._frame(buffer[place], buffer[place + 5 : after])
            place = after
        self._rest = buffer[place:]
        if self._held > _PAUSE_AT and not self.paused:
            self.paused = True
            self._transport.pause_reading()
        self._wake.set()

    def _frame(self, kind: int, body: bytes) -> None:
        if kind == 0x64:  # CopyData
            self._frames.append(body)
            self._held += len(body)
        elif kind == 0x57:  # CopyBothResponse
            self.started.set()
        elif kind == 0x45:  # ErrorResponse
            self.failure = _error(body)
            self.started.set()
        elif kind == 0x63:  # CopyDone
            self.failure = StreamEnded("Postgres ended the replication stream")

    def connection_lost(self, error: Exception | None) -> None:
        self.failure = self.failure or StreamEnded(f"the replication connection was lost ({error or 'closed'})")
        self.started.set()
        self._wake.set()

    async def take(self) -> list[bytes]:
        """Every frame that has arrived, at least one; raises the failure once all before it were taken."""
        while not self._frames:
            if self.failure:
                raise self.failure
            self._wake.clear()
            await self._wake.wait()
        frames = list(self._frames)
        self._frames.clear()
        self._held = 0
        if self.paused:
            self.paused = False
            self._transport.resume_reading()
        return frames


def _error(body: bytes) -> Exception:
    fields = {chr(field[0]): field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
    code, text = fields.get("C", ""), fields.get("M", "unknown error")
    if code == SLOT_IS_ACTIVE:
        return SlotBusy(text)
    if code in ("55000", "58P01") or "invalidat" in text:
        return SlotInvalid(text)
    return StreamEnded(f"{text} ({code})")


class Replication:
    """One open replication stream. The slot is the lock: only one can be open, ever."""

    def __init__(self, connection: asyncpg.Connection, wire: _Wire, transport: asyncio.Transport) -> None:
        self._connection = connection  # its finaliser would close the socket
        self._wire = wire
        self._transport = transport

    @classmethod
    async def open(cls, dsn: str, slot: str, publication: str, sender_timeout: str) -> "Replication":
        """Start streaming from where the slot was confirmed. Raises SlotBusy, SlotInvalid or StreamEnded."""
        settings = {
            **SESSION,
            "replication": "database",
            "application_name": "medley-capture",
            "wal_sender_timeout": sender_timeout,
        }
        try:
            connection = await asyncpg.connect(dsn, timeout=10, server_settings=settings)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise StreamEnded(f"no replication connection: {error}") from error
        transport: Any = connection._transport  # type: ignore[attr-defined]
        wire = _Wire(transport)
        transport.set_protocol(wire)
        command = (
            f"START_REPLICATION SLOT {slot} LOGICAL 0/0 (proto_version '1', publication_names '{publication}')\0"
        ).encode()
        transport.write(b"Q" + _LENGTH.pack(len(command) + 4) + command)
        opened = cls(connection, wire, transport)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await wire.started.wait()
        except TimeoutError:
            wire.failure = StreamEnded(f"Postgres did not start to stream within {_START_SECONDS} s")
        if wire.failure:
            opened.close()
            raise wire.failure
        return opened

    async def frames(self) -> list[bytes]:
        """CopyData bodies, in order: `w` (25 bytes of header, then one pgoutput message) or `k` (keepalive)."""
        return await self._wire.take()

    def silent_for(self) -> float:
        """Seconds since Postgres last sent anything; while we are behind in reading it counts as talking."""
        return 0.0 if self._wire.paused else time.monotonic() - self._wire.heard

    def confirm(self, received: int, confirmed: int) -> None:
        """Tell Postgres what has arrived and what it may forget. Cheap; may be repeated.

        Asks for an answer when Postgres was silent for a while: it has no other reason to speak on an idle server.
        """
        if self._transport.is_closing():
            return
        now = int(time.time() * 1e6) - POSTGRES_EPOCH
        body = _STATUS.pack(b"r", received, confirmed, confirmed, now, self.silent_for() > _ASK_SECONDS)
        self._transport.write(b"d" + _LENGTH.pack(len(body) + 4) + body)

    def close(self) -> None:
        """Drop the connection; the server frees the slot at once."""
        with suppress(RuntimeError, OSError):  # the transport may be gone already
            self._connection.terminate()
        self._transport.abort()


def wal_end(frame: bytes) -> int:
    """A keepalive's LSN: everything below it has been sent."""
    lsn: int = _U64.unpack_from(frame, 1)[0]
    return lsn


def reply_wanted(frame: bytes) -> bool:
    return frame[17] == 1
