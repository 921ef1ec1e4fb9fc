"""Reads that memory can answer, as whole responses, for `protocol`, which writes them.

What it says is what `read` would say, built of the same parts. Everything else is left to the route: what is refused,
opened or read from the stream, what is conditional, a stream of events, the end of a shape. So is whoever waits, when
what was waited for is not that simple.
"""

from collections.abc import Callable
from typing import NamedTuple

from medley.contracts.offsets import SNAPSHOT_END
from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import Transient
from services.api.settings import ApiSettings
from services.api.shape import heads, response
from services.api.shape.admission import Admission
from services.api.shape.asked import Asked
from services.api.shape.bodies import Bodies
from services.api.shape.contents import Chunk, Contents
from services.api.shape.feed import Feed
from services.api.shape.feeds import Feeds
from services.api.shape.queries import Queries, memory
from services.api.shape.tail import Gone, Tail

_PATH = b"/v1/shape"
_BYTES = 16 * 1024 * 1024
_LARGEST = 256 * 1024
"""Bytes of a body: a larger one is sent in slices, as the reader takes them."""


class Told(NamedTuple):
    """`head`: of headers, each with its line's end."""

    status: int
    head: bytes
    body: bytes


class Waits(NamedTuple):
    """There is nothing new. `leave` must be called once it is waited for no more."""

    tail: Tail
    seconds: float
    leave: Callable[[], None]


class Words(NamedTuple):
    """What of a request decides on the answer."""

    url: bytes
    origin: bytes | None
    authorization: bytes


class Known:
    """A request that may be answered here, and the head of the newest answer; `of` is what that was written for. Bodies
    are not kept here: they are large."""

    __slots__ = ("asked", "head", "of", "origin", "record")

    def __init__(self, asked: Asked, origin: bytes | None) -> None:
        self.asked = asked
        self.origin = origin
        self.record: ShapeRecord | None = None
        self.of: tuple[object, ...] = ()
        self.head = b""


class Quick:
    """`allowed`: whether a query, or what authorises, carries the secret."""

    def __init__(
        self,
        feeds: Feeds,
        settings: ApiSettings,
        admission: Admission,
        queries: Queries,
        allowed: Callable[[str, bytes], bool],
    ) -> None:
        self._feeds = feeds
        self._settings = settings
        self._admission = admission
        self._queries = queries
        self._allowed = allowed
        self._secret = bool(settings.secret.get_secret_value())
        self._held: Bodies[Known] = Bodies(_BYTES)
        self._contents: tuple[Feed, Contents] | None = None

    def known(self, words: Words) -> Known | None:
        """None: the route must be asked."""
        held = self._held.get(*words)
        if held is not None:
            return held
        path, _, query = words.url.partition(b"?")
        if path != _PATH or not self._allowed(query.decode("latin-1"), words.authorization):
            return None
        asked = self._queries.of(query).asked
        if not isinstance(asked, Asked) or asked.sse or asked.subset is not None:
            return None
        known = Known(asked, words.origin)
        size = len(words.url) + len(words.origin or b"") + len(words.authorization)
        self._held.keep(known, memory(size), *words)
        return known

    def answer(self, known: Known, *, waited: bool = False) -> Told | Waits | None:
        """None: the route must be asked. `waited`: changes were waited for, so that there are none is an answer."""
        feed = self._feeds.current
        if feed is None or feed.closing:
            return None
        record = self._record(feed, known)
        if record is None:
            deleted = waited and known.asked.handle is not None and feed.was_deleted(known.asked.handle)
            return self._gone(known) if deleted else None
        try:
            found = self._found(feed, known.asked, record, waited=waited)
        except (Gone, Transient):
            return None
        if not isinstance(found, Chunk):
            return found
        feed.reads.of(record)
        return self._told(feed, known, record, found)

    def _record(self, feed: Feed, known: Known) -> ShapeRecord | None:
        asked = known.asked
        record = feed.record(asked.handle) if asked.handle is not None else feed.known(asked.definition)
        if record is None or (record is not known.record and record.definition != asked.definition):
            return None
        return record

    def _found(self, feed: Feed, asked: Asked, record: ShapeRecord, *, waited: bool) -> Chunk | Waits | None:
        """Raises Gone, Transient."""
        contents = self._of(feed)
        if asked.offset is not None and asked.offset < SNAPSHOT_END:
            chunk = contents.snapshot_at_hand(record, asked.offset)
            return chunk if chunk is not None and len(chunk.body) <= _LARGEST else None
        tail = feed.at_hand(record)
        if tail is None:
            return None
        offset = max(tail.end if asked.offset is None else asked.offset, record.snapshot_end)
        if offset > tail.end and offset.tx > max(feed.positions.of(record.handle), tail.end.tx):
            return None
        if asked.live and tail.end <= offset and not waited:
            feed.reads.of(record)
            leave = self._admission.enter("live")
            return Waits(tail, self._settings.long_poll_seconds, leave) if leave is not None else None
        chunk = contents.log_at_hand(record, tail, offset)
        return chunk if chunk is not None and len(chunk.body) <= _LARGEST else None

    def _of(self, feed: Feed) -> Contents:
        if self._contents is None or self._contents[0] is not feed:
            settings = self._settings
            self._contents = feed, Contents(feed, settings.shape_chunk_bytes, settings.open_seconds)
        return self._contents[1]

    def _told(self, feed: Feed, known: Known, record: ShapeRecord, chunk: Chunk) -> Told:
        """Its head is written once for all who ask in the same words for the same."""
        rounded = response.rounded(self._settings.long_poll_seconds) if known.asked.live else 0
        small = b"" if chunk.has_data else chunk.body  # what is not data may differ at the same place
        written_for = (chunk.reached, chunk.at_end, chunk.has_data, len(chunk.body), small, rounded)
        if known.record is not record or known.of != written_for:
            headers = heads.of_page(self._settings, known.asked, record, chunk, feed.schema(record))
            known.record, known.of = record, written_for
            known.head = self._head(response.Response(200, chunk.body, headers), known)
        return Told(200, known.head, chunk.body)

    def _gone(self, known: Known) -> Told:
        answer = response.must_refetch(None)
        return Told(answer.status, self._head(answer, known), answer.body)

    def _head(self, answer: response.Response, known: Known) -> bytes:
        headers = [
            *answer.headers,
            *response.cors(known.origin, secret=self._secret),
            *response.of_body(answer.status, answer.body),
        ]
        return b"".join([b"%b: %b\r\n" % header for header in headers])
