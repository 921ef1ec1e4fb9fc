"""HTTP/1.1 as the load clients speak it: prepared requests, and answers looked at only where needed."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

_END = b"\r\n\r\n"
INSERT = b'"operation":"insert"'


class Head(NamedTuple):
    """What a client needs of an answer's head."""

    status: int
    next: bytes
    """The parameters of the request that follows it."""
    place: bytes
    """The same without `live`."""
    up_to_date: bool


class Address(NamedTuple):
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Address":
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 80)

    @property
    def rest(self) -> bytes:
        """What follows the path in a request."""
        return f" HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode()

    def request(self, path: bytes) -> bytes:
        return b"GET " + path + self.rest


def shape_path(table: str, where: str = "", params: Mapping[str, str] | None = None) -> bytes:
    """Without offset and what goes with it."""
    query = {"table": table, **({"where": where} if where else {}), **(params or {})}
    return f"/v1/shape?{urlencode(query)}".encode()


def framed(data: bytes | bytearray) -> tuple[int, int] | None:
    """Where the head ends and where the answer does; None as long as it is not whole. One answer at a time."""
    head = data.find(_END)
    if head < 0:
        return None
    if (start := _after(data, b"\r\ncontent-length:", head)) < 0:
        if _after(data, b"\r\ntransfer-encoding: chunked", head) < 0:
            return head, head + 4  # 204, 304
        return (head, len(data)) if data.endswith(b"0\r\n\r\n") else None
    end = head + 4 + int(data[start : data.find(b"\r", start)])
    return (head, end) if len(data) >= end else None


def parsed(head: bytes) -> Head:
    handle, offset = _value(head, b"\r\nelectric-handle:"), _value(head, b"\r\nelectric-offset:")
    place = b"&offset=" + offset + b"&handle=" + _quoted(handle)
    up_to_date = _after(head, b"\r\nelectric-up-to-date:", len(head)) >= 0
    live = b"&live=true&cursor=" + _value(head, b"\r\nelectric-cursor:") if up_to_date else b""
    return Head(int(head[9:12]), place + live, place, up_to_date)


def _after(data: bytes | bytearray, name: bytes, end: int) -> int:
    """The place behind a header's name, which nearly everybody writes in small letters; -1 where it is not."""
    start = data.find(name, 0, end)
    if start < 0:
        start = bytes(data[:end]).lower().find(name)
    return start + len(name) if start >= 0 else -1


def _value(head: bytes, name: bytes) -> bytes:
    start = _after(head, name, len(head))
    end = head.find(b"\r", start)
    return head[start : end if end >= 0 else len(head)].strip() if start >= 0 else b""


@lru_cache(16_384)
def _quoted(handle: bytes) -> bytes:
    return quote_plus(handle).encode()
