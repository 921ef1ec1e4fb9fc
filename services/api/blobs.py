"""`GET` and `HEAD /v1/blobs/{sha256}`: the bytes of a blob, whole or one range.

A blob never changes, so its digest is its ETag and a cache may keep it for ever. Bytes that strangers sent in must not
act as a page of ours: only types of media that we know are shown, anything else is an attachment; nothing is sniffed;
a sandbox stands around all of it. Memory is bounded by one piece a client, and a client that leaves frees what it held.
"""

import re
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from medley.blobs.port import Blob
from medley.blobs.shelf import Shelf
from medley.runtime.errors import MedleyError, Transient
from services.api.ranges import Bytes, NotModified, Unsatisfiable, wanted

_DIGEST = re.compile(r"[0-9a-f]{64}")
SHOWN = frozenset(
    [
        "audio/flac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/aiff",
        "audio/mp4",
        "video/mp4",
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/avif",
        "image/heic",
        "image/bmp",
        "image/tiff",
    ]
)
_ALWAYS = {
    "accept-ranges": "bytes",
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


class _Pieces(StreamingResponse):
    """Closes its source however the response ends."""

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes, None], **rest: Any) -> None:
        self._pieces = pieces
        super().__init__(self._all(first), **rest)

    async def _all(self, first: bytes) -> AsyncGenerator[bytes, None]:
        yield first
        async for piece in self._pieces:
            yield piece

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()


def router(shelf: Shelf) -> APIRouter:
    routes = APIRouter(tags=["blobs"])

    @routes.head("/v1/blobs/{sha256}", include_in_schema=False)
    @routes.get("/v1/blobs/{sha256}", response_class=Response)
    async def blob(sha256: str, request: Request) -> Response:
        """The bytes of a blob, by the sha256 of them."""
        if not _DIGEST.fullmatch(sha256):
            return _problem(400, f"found {sha256[:80]!r}, needed a sha256: 64 hexadecimal digits, in lower case")
        try:
            found = await shelf.find(sha256)
            if found is None:
                return _problem(404, f"no blob has the sha256 {sha256}")
            return await _answer(shelf, found, request)
        except Transient as error:
            return _problem(503, f"{error}; try again", {"retry-after": "2"})
        except MedleyError as error:
            return _problem(500, str(error))

    return routes


def _problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"message": message}, status, {"cache-control": "no-store"} | (headers or {}))


def _headers(blob: Blob) -> dict[str, str]:
    if blob.mime in SHOWN:
        return {**_ALWAYS, "etag": f'"{blob.sha256}"', "content-type": blob.mime}
    return {
        **_ALWAYS,
        "etag": f'"{blob.sha256}"',
        "content-type": "application/octet-stream",
        "content-disposition": f'attachment; filename="{blob.sha256}"',
    }


async def _answer(shelf: Shelf, blob: Blob, request: Request) -> Response:
    headers, asked = _headers(blob), request.headers
    range_ = asked.get("range") if request.method == "GET" else None
    match wanted(blob.size, headers["etag"], asked.get("if-none-match"), range_, asked.get("if-range")):
        case NotModified():
            return Response(status_code=304, headers={k: headers[k] for k in ("etag", "cache-control")})
        case Unsatisfiable():
            return _problem(416, f"the blob has {blob.size} bytes", {"content-range": f"bytes */{blob.size}"})
        case Bytes(start, stop, partial):
            headers["content-length"] = str(stop - start)
            if request.method == "HEAD":
                return Response(status_code=200, headers=headers)
            if partial:
                headers["content-range"] = f"bytes {start}-{stop - 1}/{blob.size}"
            pieces = shelf.read(blob, start, stop)
            first = await anext(pieces)  # a store that is down must still be able to say 503
            return _Pieces(first, pieces, status_code=206 if partial else 200, headers=headers)
