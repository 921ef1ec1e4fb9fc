"""Many clients of one shape, each on a connection of its own, as browsers are: what they ask follows the published
client (sorted parameters, `expired_handle` and a random `cache-buster` after must-refetch)."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from medley.client import Copy
from tests.support.library import until
from tests.support.nginx import Nginx


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Just enough HTTP/1.1 to be a thousand clients in one process."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._address.hostname, self._address.port)
        reader, writer = self._streams
        writer.write(f"GET {target} HTTP/1.1\r\nhost: {self._address.netloc}\r\n\r\n".encode())
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(first.split()[1]), headers, await _body(reader, headers))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


@dataclass
class Client:
    """One client's place in the shape, and its copy."""

    connection: Connection
    table: str
    asked: Counter[str]
    copy: Copy = field(default_factory=Copy)
    place: dict[str, str] = field(default_factory=lambda: {"offset": "-1"})
    expired: dict[str, str] = field(default_factory=dict)
    up_to_date: bool = False
    changes: list[tuple[str, Any]] = field(default_factory=list)
    """Operations and values out of the log, in order: what the snapshot holds is not among them."""
    refetches: int = 0
    is_waiting: bool = False
    """It has asked for what comes next, and has no answer."""

    async def step(self) -> list[Any]:
        """One request, live when there is nothing to catch up with; the messages of the answer."""
        live = {"live": "true", "cursor": self.place.get("cursor", "")} if self.up_to_date else {}
        params = {"table": self.table, "log": "full", **self.expired, **self.place, **live}
        self.asked[self.table] += 1
        self.is_waiting = bool(live)
        answer = await self.connection.get(f"/v1/shape?{urlencode(sorted(params.items()))}")
        self.is_waiting = False
        messages = list(json.loads(answer.body))
        if answer.status == 409:
            self._starts_again(answer.headers["electric-handle"])
            return messages
        assert answer.status == 200, (answer.status, answer.body)
        self.place = {"offset": answer.headers["electric-offset"], "handle": answer.headers["electric-handle"]}
        if live:
            self.place["cursor"] = answer.headers["electric-cursor"]
        self.up_to_date = "electric-up-to-date" in answer.headers
        self.copy.apply(messages)
        self.changes += [(m["headers"]["operation"], m["value"]) for m in messages if "lsn" in m["headers"]]
        return messages

    def _starts_again(self, handle: str) -> None:
        assert handle != self.place["handle"], "led to the handle that it came from"
        self.expired = {"expired_handle": self.place["handle"], "cache-buster": secrets.token_hex(8)}
        self.place = {"offset": "-1", "handle": handle}
        self.copy, self.up_to_date = Copy(), False
        self.refetches += 1

    async def until(self, condition: Callable[["Client"], bool]) -> None:
        while not condition(self):
            await self.step()
            if self.place["offset"] != "-1":
                self.expired.pop("cache-buster", None)


class Crowd:
    """Clients of one table, who do the same at the same time."""

    def __init__(self, nginx: Nginx, table: str, size: int) -> None:
        self.clients = [Client(Connection(nginx.url), table, nginx.asked) for _ in range(size)]

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self.clients:
            client.connection.close()

    async def until(self, condition: Callable[[Client], bool]) -> None:
        await asyncio.gather(*(client.until(condition) for client in self.clients))

    async def waits(self) -> None:
        """Until every client is live, and waits for a change."""

        async def all_wait() -> bool:
            return all(client.is_waiting for client in self.clients)

        await until(all_wait, "every client waits")
