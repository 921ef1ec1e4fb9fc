"""HTTP/1.1 as the load clients speak it: prepared requests, and answers looked at only where needed."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

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

    def request(self, path: bytes) -> bytes:
        return b"GET " + path + b" HTTP/1.1\r\nhost: " + self.host.encode() + b"\r\n\r\n"


def shape_path(table: str, where: str = "", params: Mapping[str, str] | None = None) -> bytes:
    """Without offset and what goes with it."""
    query = {"table": table, **({"where": where} if where else {}), **(params or {})}
    return f"/v1/shape?{urlencode(query)}".encode()


def framed(data: bytes | bytearray) -> tuple[int, int] | None:
    """Where the head ends and where the answer does; None as long as it is not whole. One answer at a time."""
    head = data.find(_END)
    if head < 0:
        return None
    lower = bytes(data[:head]).lower()
    start = lower.find(b"content-length:")
    if start < 0:
        if b"transfer-encoding: chunked" not in lower:
            return head, head + 4  # 204, 304
        return (head, len(data)) if data.endswith(b"0\r\n\r\n") else None
    stop = lower.find(b"\r", start)
    end = head + 4 + int(lower[start + 15 : stop if stop > 0 else head])
    return (head, end) if len(data) >= end else None


def parsed(head: bytes) -> Head:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    up_to_date = "electric-up-to-date" in headers
    place = {"offset": headers.get("electric-offset", ""), "handle": headers.get("electric-handle", "")}
    live = {"live": "true", "cursor": headers.get("electric-cursor", "")} if up_to_date else {}
    return Head(int(first.split()[1]), _query({**place, **live}), _query(place), up_to_date)


def _query(parameters: Mapping[str, str]) -> bytes:
    return b"&" + urlencode(parameters).encode()
