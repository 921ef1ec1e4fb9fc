"""Follow a shape over HTTP: snapshot, catch-up and live changes as one endless stream of protocol messages."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

import httpx

Message = dict[str, Any]
"""One item of the shape protocol (section 1.5): `{"key", "value", "headers"}`, or a control message."""

_FIRST_PAUSE = 0.02
LIVE_DEADLINE = 45.0  # seconds; the server answers a live request after 20


def http_client(url: str) -> httpx.AsyncClient:
    """A client for long polls; a proxy from the environment is not asked for what is on this machine."""
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    timeout = httpx.Timeout(LIVE_DEADLINE, connect=5)
    return httpx.AsyncClient(timeout=timeout, trust_env=not local, verify=_trusted(trust_env=not local))


@cache
def _trusted(trust_env: bool) -> SSLContext:
    """One for all clients: to read the authorities takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=trust_env)


class ShapeRefused(Exception):
    """The server says that the request itself is wrong; `errors` is by parameter."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.errors: dict[str, list[str]] = body.get("errors", {}) if isinstance(body, dict) else {}
        detail = "; ".join(f"{field}: {', '.join(map(str, texts))}" for field, texts in self.errors.items())
        super().__init__(detail or (body.get("message") if isinstance(body, dict) else None) or f"HTTP {status}")


async def follow(
    api_url: str,
    table: str,
    *,
    where: str | None = None,
    params: Mapping[int, str] | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    replica: str = "default",
    secret: str | None = None,
    client: httpx.AsyncClient | None = None,
    place: dict[str, str] | None = None,
) -> AsyncIterator[list[Message]]:
    """Yield each response's messages, for ever; a server that is away is waited for.

    After `must-refetch` the copy must be emptied: rows come again from the start. `place` is kept up with what was
    yielded: whoever stops and gives it again goes on from there, with the copy that there was.
    Raises ShapeRefused when the server refuses the request (4xx but 409 and 429).
    """
    query: dict[str, str] = {"table": table, "replica": replica}
    if where:
        query["where"] = where
    for number, value in params.items() if isinstance(params, Mapping) else enumerate(params or (), 1):
        query[f"params[{number}]"] = value
    if columns:
        query["columns"] = ",".join('"' + name.replace('"', '""') + '"' for name in columns)
    if secret:
        query["secret"] = secret
    state: dict[str, str] = {} if place is None else place
    state.setdefault("offset", "-1")
    owned = client is None
    http = client or http_client(api_url)
    pause = _FIRST_PAUSE
    try:
        while True:
            try:
                response = await http.get(f"{api_url.rstrip('/')}/v1/shape", params={**query, **state})
                messages = _answer(response, state)
            except (httpx.TransportError, _TryAgain) as error:
                await asyncio.sleep(max(pause * random.uniform(0.5, 1), getattr(error, "after", 0)))  # noqa: S311
                pause = min(5.0, pause * 2)
                continue
            if messages:
                yield messages
            if response.status_code == 409:
                await asyncio.sleep(pause)  # once is nothing; again and again must not become a hot loop
                pause = min(5.0, pause * 2)
            else:
                pause = _FIRST_PAUSE
    finally:
        if owned:
            await http.aclose()


class _TryAgain(Exception):
    def __init__(self, after: float) -> None:
        self.after = after


def _answer(response: httpx.Response, state: dict[str, str]) -> list[Message]:
    """The messages of one response; `state` becomes the parameters of the next request."""
    if response.status_code == 409:
        state.clear()
        state["offset"] = "-1"
        if handle := response.headers.get("electric-handle"):
            state["handle"] = handle
        return [message for message in response.json() if message["headers"].get("control") == "must-refetch"]
    if response.status_code == 429 or response.status_code >= 500:
        after = response.headers.get("retry-after", "0")
        raise _TryAgain(float(after) if after.isdigit() else 0)
    if response.status_code != 200:
        try:
            body = response.json()
        except ValueError:
            body = {"message": response.text}
        raise ShapeRefused(response.status_code, body)
    state["handle"] = response.headers["electric-handle"]
    state["offset"] = response.headers["electric-offset"]
    if "electric-cursor" in response.headers:
        state["cursor"] = response.headers["electric-cursor"]
    if "electric-up-to-date" in response.headers:
        state["live"] = "true"
    messages: list[Message] = response.json()
    return messages
