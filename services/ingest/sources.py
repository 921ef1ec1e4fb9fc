"""Where the bytes of a job come from: one opening function for each kind of source."""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, assert_never

from medley.blobs.port import Missing
from medley.blobs.s3 import S3
from medley.contracts.jobs import InlineSource, ObjectSource, PathSource, Source, UploadSource, UrlSource
from medley.runtime.errors import Transient
from services.ingest.folders import open_below
from services.ingest.refusals import Refused

PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that answered: its size where it is known, a name for it, and its bytes."""

    size: int
    name: str | None
    local_path: str | None
    pieces: AsyncGenerator[bytes, None]


class Sources:
    """Opens sources within what the settings allow. Raises Refused for what will never open, else Transient."""

    def __init__(self, folders: Sequence[Path], inline_limit: int, s3: S3 | None) -> None:
        self._folders = folders
        self._inline_limit = inline_limit
        self._s3 = s3

    async def open(self, source: Source) -> Opened:
        match source:
            case PathSource():
                return await self._path(source)
            case InlineSource():
                return self._inline(source)
            case ObjectSource():
                return await self._object(source)
            case UrlSource() | UploadSource():
                raise Refused(
                    f"sources of kind {source.kind!r} are not supported by this version; use path, object or inline"
                )
            case _:
                assert_never(source)

    async def _path(self, source: PathSource) -> Opened:
        file = await asyncio.to_thread(open_below, self._folders, source.path)
        size = file.seek(0, 2)
        file.seek(0)
        return Opened(size, Path(source.path).name, source.path, _file_pieces(file, source.path))

    def _inline(self, source: InlineSource) -> Opened:
        try:
            data = base64.b64decode(source.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(f"inline data is not base64: {error}") from error
        if len(data) > self._inline_limit:
            raise Refused(
                f"found {len(data)} bytes of inline data, at most {self._inline_limit} are taken "
                "(INGEST_INLINE_JOB_BYTES); use a path or an object for larger files"
            )
        return Opened(len(data), None, None, _one_piece(data))

    async def _object(self, source: ObjectSource) -> Opened:
        if self._s3 is None:
            raise Refused("object sources need S3; set S3_ENDPOINT and its keys")
        try:
            size = await self._s3.size(source.bucket, source.key)
        except Missing as error:
            raise Refused(f"no object {source.key!r} in bucket {source.bucket!r}") from error
        pieces = self._s3.read(source.bucket, source.key, 0, size)
        return Opened(size, PurePosixPath(source.key).name, None, pieces)


async def _file_pieces(file: BinaryIO, path: str) -> AsyncGenerator[bytes, None]:
    try:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
    except OSError as error:
        raise Transient(f"{path} cannot be read now: {error.strerror}") from error
    finally:
        file.close()


async def _one_piece(data: bytes) -> AsyncGenerator[bytes, None]:
    if data:
        yield data
