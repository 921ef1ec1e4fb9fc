"""The headers of reads (sections 1.2 to 1.4). Pure."""

from medley.contracts.shapes import ShapeRecord
from services.api.settings import ApiSettings
from services.api.shape.asked import Asked
from services.api.shape.contents import Chunk
from services.api.shape.response import Headers, cursor, etag

_INITIAL_CACHE = b"public, max-age=604800, s-maxage=3600, stale-while-revalidate=2629746"
_LIVE_CACHE = b"public, max-age=5, stale-while-revalidate=5"


def of_page(settings: ApiSettings, asked: Asked, record: ShapeRecord, chunk: Chunk, schema: bytes) -> Headers:
    """`schema`: the record's, as the header says it."""
    headers = [
        *identity(record, str(chunk.reached)),
        (b"electric-has-data", b"true" if chunk.has_data else b"false"),
        (b"etag", etag(record.handle, asked.offset_text, chunk.reached, chunk.has_data).encode()),
    ]
    if chunk.at_end:
        headers.append((b"electric-up-to-date", b""))
    if asked.live:
        return [*headers, next_cursor(settings, asked), (b"cache-control", _LIVE_CACHE)]
    return [*headers, (b"cache-control", _cache(settings, asked, record)), (b"electric-schema", schema)]


def identity(record: ShapeRecord, offset: str) -> Headers:
    return [(b"electric-handle", record.handle.encode()), (b"electric-offset", offset.encode())]


def next_cursor(settings: ApiSettings, asked: Asked) -> tuple[bytes, bytes]:
    return b"electric-cursor", str(cursor(asked.cursor, settings.long_poll_seconds)).encode()


def _cache(settings: ApiSettings, asked: Asked, record: ShapeRecord) -> bytes:
    """Of a read that is not live. The start of another handle than the one that the client was led to is for nobody
    else: kept by a cache, it could lead everyone in a circle."""
    if asked.led_to not in (None, record.handle):
        return b"no-cache"
    if asked.offset_text == "-1":
        return _INITIAL_CACHE
    return f"public, max-age={settings.cache_max_age}, stale-while-revalidate={settings.cache_stale_age}".encode()
