"""HTTP/1.1 as uvicorn speaks it, with a short way for reads that memory can answer.

A plain GET is first shown to `Quick`. What it knows is written at once; when there is nothing new yet, the connection
waits for the shape's next change, with no task of its own. All else is uvicorn's, and the application's: also whoever
waited for something that is not that simple, as if the request had come only then.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.api.shape.quick import Known, Told, Waits, Words

log = structlog.get_logger()

_MOST_HEAD = 1024 * 1024  # a where clause and its parameters at their longest, percent-encoded, and room
_LONG = 65_535
_DECIDING = frozenset(
    (b"if-none-match", b"medley-schema-history", b"content-length", b"transfer-encoding", b"expect", b"upgrade")
)
"""Headers of requests that are the application's."""


class Reads(Protocol):
    """`Quick`, or None in place of each answer while nothing is served."""

    def known(self, words: Words) -> Known | None: ...
    def answer(self, known: Known, *, waited: bool = False) -> Told | Waits | None: ...


class Waiting:
    """A request that waits for a change."""

    __slots__ = ("back", "known", "leave", "timer")

    def __init__(self, known: Known, waits: Waits, who: "QuickProtocol") -> None:
        self.known = known
        self.leave = waits.leave
        self.back: Callable[[], None] = waits.tail.call(who, who.changed)
        self.timer = who.loop.call_later(waits.seconds, who.changed)

    def end(self) -> None:
        self.timer.cancel()
        self.back()
        self.leave()


class QuickProtocol(HttpToolsProtocol):
    """`reads`: of the application. A head that is too large is refused before it ends, and an address up to that size
    is understood: the parser's own split of an address counts in 16 bits."""

    reads: Reads

    _in_head = True
    _head = 0
    _held = False
    """A plain GET whose head is complete, and which nobody has taken yet."""
    _waiting: Waiting | None = None

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._head > _MOST_HEAD:
                return self.send_400_response("The head of the request is too large.")
        return super().data_received(data)

    def on_message_begin(self) -> None:
        self._hand_over()  # one request was sent after another: they are answered in their order
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        self._held = self._is_plain()
        if not self._held:
            self._begin()

    def on_body(self, body: bytes) -> None:
        if self._held:
            self._held = False
            self._begin()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        if not self._held:
            return super().on_message_complete()
        self._held = False
        known = self.reads.known(Words(self.url, self._header(b"origin"), self._header(b"authorization") or b""))
        if known is None or not self._answered(known, waited=False):
            self._ask_the_application()
        return None

    def changed(self) -> None:
        """What was waited for has come, or the time is over."""
        waiting = self._waiting
        if waiting is None:
            return
        self._waiting = None
        waiting.end()
        if not self.transport.is_closing() and not self._answered(waiting.known, waited=True):
            self._ask_the_application()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._hand_over()
        super().shutdown()

    def _is_plain(self) -> bool:
        """Whether the answer depends on nothing but the words that are looked at."""
        idle = self.cycle is None or self.cycle.response_complete
        if not idle or self.flow.write_paused or len(self.url) >= _LONG or b"#" in self.url:
            return False
        if self.parser.get_method() != b"GET" or self.parser.get_http_version() != "1.1":
            return False
        return self.parser.should_keep_alive() and not any(name in _DECIDING for name, _ in self.headers)

    def _header(self, wanted: bytes) -> bytes | None:
        for name, value in self.headers:
            if name == wanted:
                return value
        return None

    def _answered(self, known: Known, *, waited: bool) -> bool:
        """Whether the request is answered, or waits. Never raises: a shape's change is for all who wait for it."""
        try:
            found = self.reads.answer(known, waited=waited)
        except Exception:
            log.exception("a read is left to the application", url=self.url[:500])
            return False
        match found:
            case Told(status, head, body):
                dated = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
                self.transport.write(b"".join((STATUS_LINE[status], *dated, head, b"\r\n", body)))
                self.on_response_complete()
            case Waits():
                self._waiting = Waiting(known, found, self)
            case None:
                return False
        return True

    def _hand_over(self) -> None:
        """Whoever waits here is the application's from now on."""
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None
            self._ask_the_application()

    def _ask_the_application(self) -> None:
        """For a plain GET; the parser may be at the next request already."""
        self._begin()
        self.scope.update({"method": "GET", "http_version": "1.1"})  # before anybody has seen the scope
        self.cycle.keep_alive = True
        super().on_message_complete()

    def _begin(self) -> None:
        """The application is asked."""
        if len(self.url) < _LONG:
            return super().on_headers_complete()
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]  # before anybody has seen the scope
        return None


def with_reads(reads: Reads) -> type[asyncio.Protocol]:
    """The protocol, for a server."""
    made: dict[str, Any] = {"reads": reads}
    return type("QuickProtocol", (QuickProtocol,), made)
