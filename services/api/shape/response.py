"""Responses of the shape protocol: status, headers and body (sections 1.4 and 1.8). Pure."""

import json
import random
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

import orjson

from medley import __version__
from medley.contracts.offsets import Offset
from medley.contracts.shapes import ShapeRecord

Headers = list[tuple[bytes, bytes]]

_EPOCH = 1_728_432_000  # 2024-10-09T00:00Z: cursors count from here

EXPOSED = (
    "electric-cursor,electric-handle,electric-has-data,electric-offset,electric-schema,"
    "electric-up-to-date,electric-internal-known-error,retry-after"
)
METHODS = "GET, POST, HEAD, DELETE, OPTIONS"
SERVER = f"Medley/{__version__}".encode()

MUST_REFETCH = b'[{"headers":{"control":"must-refetch"}}]'
NO_STORE = [(b"cache-control", b"no-store"), (b"surrogate-control", b"no-store")]


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Streamed:
    """A response whose body is made while it is sent. An error in `body` cuts the connection, so that nobody takes
    a part for the whole."""

    status: int
    body: AsyncGenerator[bytes]
    headers: Headers = field(default_factory=list)


def cors(origin: bytes | None, *, secret: bool = False) -> Headers:
    """Of every response. `secret`: whether one is needed; then a shared cache must tell who has it from who has not."""
    return [
        (b"vary", b"origin, authorization" if secret else b"origin"),
        (b"access-control-allow-origin", origin or b"*"),
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-expose-headers", EXPOSED.encode()),
        (b"electric-server", SERVER),
    ]


def of_body(status: int, body: bytes) -> Headers:
    """What says how long a body is, and of what type."""
    headers = [(b"content-length", b"%d" % len(body))] if status != 204 else []
    return [*headers, (b"content-type", b"application/json")] if body else headers


def schema_of(record: ShapeRecord) -> bytes:
    """The `electric-schema` header. ASCII, for headers are: other characters of column names are escaped."""
    return json.dumps(record.protocol_schema, separators=(",", ":")).encode()


def refused(errors: Mapping[str, object]) -> Response:
    body = orjson.dumps({"message": "Invalid request", "errors": errors})
    return Response(400, body, NO_STORE)


def message(status: int, text: str, extra: Headers | None = None) -> Response:
    return Response(status, orjson.dumps({"message": text}), [*NO_STORE, *(extra or [])])


def unavailable(reason: str, retry_after: int = 1) -> Response:
    extra = [(b"retry-after", str(retry_after).encode()), (b"electric-internal-known-error", b"true")]
    return message(503, reason, extra)


def too_many(reason: str) -> Response:
    """503 to come again later, not all at the same moment."""
    later = random.randint(6, 10)  # noqa: S311 - it only spreads load
    extra = [(b"retry-after", str(later).encode()), (b"electric-internal-known-error", b"true")]
    body = orjson.dumps({"code": "concurrent_request_limit_exceeded", "message": reason})
    return Response(503, body, [*NO_STORE, *extra])


def must_refetch(handle: str | None) -> Response:
    """409; with a handle, the client goes on there."""
    if handle is None:
        return Response(409, MUST_REFETCH, [(b"cache-control", b"max-age=1")])
    headers = [(b"electric-handle", handle.encode()), (b"cache-control", b"public, max-age=60, must-revalidate")]
    return Response(409, MUST_REFETCH, headers)


def up_to_date(lsn: int) -> bytes:
    return b'{"headers":{"control":"up-to-date","global_last_seen_lsn":"%d"}}' % lsn


def rounded(interval: float) -> int:
    """Seconds since 2024-10-09, rounded up to the poll interval: equal for all clients of that time."""
    return int(-(-(time.time() - _EPOCH) // interval) * interval)


def cursor(previous: int | None, interval: float) -> int:
    """The rounded time, so that a cache can join requests; different from the one before, so that it does not answer
    them with its own past."""
    now = rounded(interval)
    if previous is not None and now <= previous:
        return previous + random.randint(1, 3600)  # noqa: S311 - a cache buster, not a secret
    return now


def etag(handle: str, asked: str, offset: Offset, has_data: bool) -> str:
    """Of a response without changes it never matches again."""
    tag = f"{handle}:{asked}:{offset}"
    return f'"{tag}"' if has_data else f'"{tag}:{time.monotonic_ns()}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    if not if_none_match:
        return False
    wanted = {part.strip().removeprefix("W/").strip('"') for part in if_none_match.split(",")}
    return tag.strip('"') in wanted
