"""`/v1/shape` and `/v1/health` as plain ASGI: methods, secret, CORS, and one place where failures become answers."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import orjson
import structlog
from nats.errors import Error as NatsError

from medley.runtime.errors import Transient
from services.api.settings import ApiSettings
from services.api.shape import params, response
from services.api.shape.feed import Feeds
from services.api.shape.read import Reading
from services.api.shape.response import Response

log = structlog.get_logger()

_FEED_SECONDS = 2.0

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PREFLIGHT = [
    (b"access-control-allow-headers", b"authorization,content-type,if-none-match,traceparent,medley-schema-history"),
    (b"access-control-max-age", b"86400"),
]


class ShapeRoute:
    def __init__(self, feeds: Feeds, settings: ApiSettings) -> None:
        self._feeds = feeds
        self._settings = settings
        self._secret = settings.secret.get_secret_value()

    async def shape(self, scope: Scope, send: Send, closed: str | None = None, unfit: str | None = None) -> None:
        """`closed`: why nothing is served now; `unfit`: why this client is not. A preflight and a wrong secret are
        answered all the same."""
        headers = dict(scope["headers"])
        try:
            answer = await self._answer(scope, headers, closed, unfit)
        except (Transient, NatsError, OSError, TimeoutError) as error:
            answer = response.unavailable(str(error) or type(error).__name__)
        except Exception:
            log.exception("shape request failed", query=scope["query_string"][:500])
            answer = response.message(500, "Internal error: see the log of the API")
        if scope["method"] != "GET":
            kept = [header for header in answer.headers if header[0] != b"cache-control"]
            answer = Response(answer.status, answer.body, [*kept, (b"cache-control", b"no-cache")])
        await _send(send, answer, headers.get(b"origin"), body=scope["method"] != "HEAD")

    async def health(self, scope: Scope, send: Send, closed: str | None) -> None:
        """`active` while sync leads and the bus is there; else 202 with what we wait for, and why a gate is closed."""
        feed = self._feeds.current
        state = feed.state if feed is not None and closed is None else "starting"
        headers = [(b"cache-control", b"no-cache, no-store, must-revalidate")]
        status = 200 if state == "active" else 202
        answer = Response(status, orjson.dumps({"status": state, **({"reason": closed} if closed else {})}), headers)
        await _send(send, answer, dict(scope["headers"]).get(b"origin"), body=scope["method"] != "HEAD")

    async def admitted(self, scope: Scope, send: Send) -> bool:
        """Whether a request for another route carries the secret; it is answered here when it does not."""
        headers = dict(scope["headers"])
        if scope["method"] == "OPTIONS" or self._allowed(scope["query_string"].decode("latin-1"), headers):
            return True
        answer = response.message(401, "Unauthorized - Invalid API secret")
        await _send(send, answer, headers.get(b"origin"), body=scope["method"] != "HEAD")
        return False

    async def not_now(self, scope: Scope, send: Send, reason: str) -> None:
        """A request while the gate is closed, or not yet open."""
        answer = response.unavailable(reason)
        await _send(send, answer, dict(scope["headers"]).get(b"origin"), body=scope["method"] != "HEAD")

    def release(self) -> None:
        """Answer everyone who waits for a change now: the process is about to stop."""
        if self._feeds.current is not None:
            self._feeds.current.close()

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], closed: str | None, unfit: str | None
    ) -> Response:
        method = scope["method"]
        if method == "OPTIONS":
            return Response(204, b"", _PREFLIGHT)
        query = scope["query_string"].decode("latin-1")
        if not self._allowed(query, headers):
            return response.message(401, "Unauthorized - Invalid API secret")
        if method not in ("GET", "HEAD"):
            return response.message(405, f"{method} not allowed")
        if closed is not None:
            return response.unavailable(closed)
        if unfit is not None:
            return response.message(412, unfit)
        asked = params.parse(query)
        if isinstance(asked, dict):
            return response.refused(asked)
        feed = await self._feeds.get(_FEED_SECONDS)
        if_none_match = headers.get(b"if-none-match", b"").decode("latin-1")
        return await Reading(feed, self._settings).answer(asked, if_none_match)

    def _allowed(self, query: str, headers: dict[bytes, bytes]) -> bool:
        return authorised(self._secret, query, headers.get(b"authorization", b"").decode("latin-1"))


def authorised(secret: str, query: str, authorization: str) -> bool:
    """Whether the request carries the secret: `secret=` (or `api_secret=`), or a bearer token."""
    if not secret:
        return True
    given = parse_qs(query)
    candidates = [*given.get("secret", ()), *given.get("api_secret", ())]
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer":
        candidates.append(token.strip())
    return any(hmac.compare_digest(candidate.encode(), secret.encode()) for candidate in candidates)


async def _send(send: Send, answer: Response, origin: bytes | None, *, body: bool) -> None:
    headers = [*answer.headers, *response.cors(origin), (b"content-length", str(len(answer.body)).encode())]
    if answer.body:
        headers.append((b"content-type", b"application/json"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if body else b""})
