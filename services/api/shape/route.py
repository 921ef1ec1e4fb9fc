"""`/v1/shape` and `/v1/health` as plain ASGI: methods, secret, admission, CORS, and one place where failures become
answers. The order of evaluation is the protocol's (section 1.2)."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import orjson
import structlog
from nats.errors import Error as NatsError

from medley.runtime.errors import Transient
from medley.runtime.postgres import FAILURES
from medley.runtime.together import told_to_end
from services.api.settings import ApiSettings
from services.api.shape import body, params, response
from services.api.shape.admission import Admission, Refused
from services.api.shape.asked import AskedToDelete
from services.api.shape.caller import Caller, CallerLeft, Receive
from services.api.shape.feed import Feed
from services.api.shape.feeds import Feeds
from services.api.shape.queries import Queries, Query
from services.api.shape.quick import Quick
from services.api.shape.read import Answer, Reading, Subsets
from services.api.shape.response import Response, Streamed

log = structlog.get_logger()

_FEED_SECONDS = 2.0
_SLICE = 256 * 1024
_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "DELETE")

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
        self._admission = Admission(settings.max_initial_requests, settings.max_live_requests)
        self._queries = Queries()
        self.quick = Quick(feeds, settings, self._admission, self._queries, partial(authorised, self._secret))
        self.subsets: Subsets | None = None
        """There while Postgres can be asked."""

    async def shape(
        self, scope: Scope, receive: Receive, send: Send, closed: str | None = None, unfit: str | None = None
    ) -> None:
        """`closed`: why nothing is served now; `unfit`: why this client is not. A preflight and a wrong secret are
        answered all the same."""
        headers = dict(scope["headers"])
        caller = Caller(receive)
        early = self._early(scope, headers, closed, unfit)
        try:
            if early is not None:
                return await self._send(scope, send, early)
            query = self._queries.of(scope["query_string"])
            with self._admission.admitted(query.kind):
                await self._send(scope, send, await self._guarded(scope, headers, query, caller))
        except Refused as refusal:
            await self._send(scope, send, response.too_many(refusal.sentence))
        except CallerLeft:
            return None
        finally:
            caller.release()
        return None

    async def health(self, scope: Scope, send: Send, closed: str | None) -> None:
        """`active` while sync leads and the bus is there; else 202 with what we wait for, and why a gate is closed."""
        feed = self._feeds.current
        state = feed.workers.state if feed is not None and closed is None else "starting"
        headers = [(b"cache-control", b"no-cache, no-store, must-revalidate")]
        status = 200 if state == "active" else 202
        said = {"status": state, **({"reason": closed} if closed else {})}
        await self._send(scope, send, Response(status, orjson.dumps(said), headers))

    async def admitted(self, scope: Scope, send: Send) -> bool:
        """Whether a request for another route carries the secret; it is answered here when it does not."""
        if scope["method"] == "OPTIONS" or self._allowed(scope, dict(scope["headers"])):
            return True
        await self._send(scope, send, response.message(401, "Unauthorized - Invalid API secret"))
        return False

    async def not_now(self, scope: Scope, send: Send, reason: str) -> None:
        """A request while the gate is closed, or not yet open."""
        await self._send(scope, send, response.unavailable(reason))

    def release(self) -> None:
        """Answer everyone who waits for a change now: the process is about to stop."""
        if self._feeds.current is not None:
            self._feeds.current.close()

    def _early(
        self, scope: Scope, headers: dict[bytes, bytes], closed: str | None, unfit: str | None
    ) -> Response | None:
        """The answer that needs no look at what is asked for; None when there is none."""
        method = scope["method"]
        if method == "OPTIONS":
            return Response(204, b"", _PREFLIGHT)
        if not self._allowed(scope, headers):
            return response.message(401, "Unauthorized - Invalid API secret")
        allowed = _METHODS if self._settings.allow_shape_deletion else _METHODS[:-1]
        if method not in allowed:
            return response.message(405, f"{method} not allowed", [(b"allow", ", ".join(allowed).encode())])
        if closed is not None:
            return response.unavailable(closed)
        return response.message(412, unfit) if unfit is not None else None

    async def _guarded(self, scope: Scope, headers: dict[bytes, bytes], query: Query, caller: Caller) -> Answer:
        try:
            answer = await self._answer(scope, headers, query, caller)
        except (Transient, NatsError, OSError, TimeoutError, *FAILURES) as error:
            answer = response.unavailable(str(error) or type(error).__name__)
        except CallerLeft:
            raise
        except asyncio.CancelledError:
            if told_to_end():
                raise
            answer = response.unavailable("the bus was lost; try again")  # nats-py cancels whoever waits for an answer
        except Exception:
            log.exception("shape request failed", query=scope["query_string"][:500])
            answer = response.message(500, "Internal error: see the log of the API")
        return answer

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], query: Query, caller: Caller) -> Answer:
        feed = await self._feeds.get(_FEED_SECONDS)
        if scope["method"] == "DELETE":
            return await _delete(feed, params.parse_deletion(query.given))
        asked = query.asked if scope["method"] != "POST" else None
        if asked is None:
            sent = await caller.body(body.MOST_BYTES)
            if sent is None:
                return response.message(413, f"Request body too large: at most {body.MOST_BYTES} bytes")
            merged = body.merged(query.given, sent)
            asked = params.parse(merged) if not isinstance(merged, dict) else merged
        if isinstance(asked, dict):
            return response.refused(asked)
        if_none_match = headers.get(b"if-none-match", b"").decode("latin-1")
        return await Reading(feed, self._settings, self.subsets, caller).answer(asked, if_none_match)

    def _allowed(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        query = scope["query_string"].decode("latin-1")
        return authorised(self._secret, query, headers.get(b"authorization", b""))

    async def _send(self, scope: Scope, send: Send, answer: Answer) -> None:
        method = scope["method"]
        headers = [*answer.headers, *response.cors(dict(scope["headers"]).get(b"origin"), secret=bool(self._secret))]
        if method != "GET" and (answer.status < 400 or answer.status == 409):
            headers = [header for header in headers if header[0] != b"cache-control"]
            headers.append((b"cache-control", b"no-cache"))
        if isinstance(answer, Streamed):
            return await _send_stream(send, answer, headers, body=method != "HEAD")
        headers += response.of_body(answer.status, answer.body)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await _send_body(send, answer.body if method != "HEAD" else b"")
        return None


async def _delete(feed: Feed, asked: AskedToDelete | params.Errors) -> Response:
    """Forget a shape (section 1.9)."""
    if isinstance(asked, dict):
        return response.refused(asked)
    if asked.definition is None:
        record = feed.record(asked.handle or "")
    else:
        record = feed.known(asked.definition)
        if asked.handle is not None and (record is None or record.handle != asked.handle):
            if feed.record(asked.handle) is not None:
                return response.refused({"handle": ["belongs to another shape definition"]})
            record = None
    if record is None:
        return response.message(404, "Shape not found")
    await feed.drop(record.handle)
    return Response(202, b"", [(b"cache-control", b"no-cache")])


async def _send_body(send: Send, body: bytes) -> None:
    """In slices, each only when the ones before have left: many slow readers of one body hold it once."""
    for start in range(0, len(body) - _SLICE, _SLICE):
        await send({"type": "http.response.body", "body": body[start : start + _SLICE], "more_body": True})
    rest = (len(body) - 1) // _SLICE * _SLICE if body else 0
    await send({"type": "http.response.body", "body": body[rest:]})


async def _send_stream(send: Send, answer: Streamed, headers: response.Headers, *, body: bool) -> None:
    """The head at once, then the body as it is made. An error leaves it unfinished, which the client sees."""
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async with aclosing(answer.body) as pieces:
        if body:
            async for piece in pieces:
                for start in range(0, len(piece), _SLICE):
                    await send({"type": "http.response.body", "body": piece[start : start + _SLICE], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def authorised(secret: str, query: str, authorization: bytes) -> bool:
    """Whether the request carries the secret: `secret=` (or `api_secret=`), or a bearer token."""
    if not secret:
        return True
    given = parse_qs(query)
    candidates = [text.encode() for text in (*given.get("secret", ()), *given.get("api_secret", ()))]
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        candidates.append(token.strip())
    return any(hmac.compare_digest(candidate, secret.encode()) for candidate in candidates)
