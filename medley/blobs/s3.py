"""Speaks S3: the only file that imports the SDK.

The SDK blocks, so every call runs in a thread of our own pool, and every error is translated here, once:
Missing (no such object), Permanent (S3 will never accept the request), Unavailable (everything else: refused
connections, timeouts, 5xx, and also wrong keys, which an operator corrects while the jobs wait).
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from medley.blobs.port import CHUNK, Missing
from medley.blobs.settings import BlobSettings
from medley.runtime.errors import ConfigurationError, MedleyError, Permanent, Unavailable
from medley.runtime.settings import S3Settings

T = TypeVar("T")

PART = 8 * 1024 * 1024  # a multipart upload holds one part in memory at a time
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFound"}
_REFUSED = {
    "EntityTooLarge",
    "InvalidArgument",
    "InvalidBucketName",
    "InvalidRange",
    "KeyTooLongError",
    "MethodNotAllowed",
}
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_THREADS = 32
_KEYS_AT_ONCE = 1000


def _translated(error: Exception, what: str) -> MedleyError:
    if isinstance(error, S3Error):
        if error.code in _MISSING:
            return Missing(f"S3 has no {what} ({error.code})")
        if error.code in _REFUSED:
            return Permanent(f"S3 refused {what}: {error.code} {error.message}")
        return Unavailable(f"S3 answered {error.code} for {what}")
    if isinstance(error, MinioException | urllib3.exceptions.HTTPError | OSError):
        return Unavailable(f"S3 cannot be reached for {what} ({type(error).__name__})")
    if isinstance(error, ValueError):
        return Permanent(f"S3 refused {what}: {error}")
    return Unavailable(f"S3 failed for {what}: {error!r}")


def _client(address: SplitResult, settings: S3Settings, limits: BlobSettings) -> Minio:
    return Minio(
        address.netloc,
        access_key=settings.access_key or None,
        secret_key=settings.secret_key.get_secret_value() or None,
        secure=address.scheme == "https",
        region=settings.region,
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=limits.s3_connect_seconds, read=limits.s3_read_seconds),
            maxsize=_THREADS,
            retries=urllib3.Retry(total=1, backoff_factor=0.1, status_forcelist=[502, 503, 504]),
        ),
    )


class S3:
    """One S3 endpoint. Opening it contacts nobody."""

    def __init__(self, settings: S3Settings, limits: BlobSettings) -> None:
        address = urlsplit(settings.endpoint)
        if address.scheme not in ("http", "https") or not address.hostname or address.path not in ("", "/"):
            raise ConfigurationError(
                f"found S3_ENDPOINT={settings.endpoint!r}, needed http://host:port or https://host:port"
            )
        if not _BUCKET.fullmatch(settings.bucket):
            raise ConfigurationError(f"found S3_BUCKET={settings.bucket!r}, needed 3 to 63 of a-z, 0-9, '.' and '-'")
        if bool(settings.access_key) != bool(settings.secret_key.get_secret_value()):
            raise ConfigurationError("found one of S3_ACCESS_KEY and S3_SECRET_KEY, needed both, or neither")
        self.bucket = settings.bucket
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")
        self._client = _client(address, settings, limits)

    async def put(self, key: str, path: Path, size: int) -> None:
        """The file's bytes under `key` of our bucket. An attempt that failed may still land later."""

        def send() -> None:
            try:
                self._send(key, path, size)
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
                self._make_bucket()
                self._send(key, path, size)

        await self._call(send, f"object {key}")

    def _send(self, key: str, path: Path, size: int) -> None:
        with path.open("rb") as file:
            self._client.put_object(self.bucket, key, file, size, part_size=PART, num_parallel_uploads=1)

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self.bucket)
        except S3Error as error:
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise

    async def size(self, bucket: str, key: str) -> int:
        stat = await self._call(lambda: self._client.stat_object(bucket, key), f"object {bucket}/{key}")
        return int(stat.size or 0)

    async def digest(self, key: str) -> tuple[str, int]:
        """sha256 and size of what a reader would get: the whole object is read back."""

        def rehash() -> tuple[str, int]:
            response = self._client.get_object(self.bucket, key)
            try:
                digest, size = hashlib.sha256(), 0
                while piece := response.read(CHUNK):
                    digest.update(piece)
                    size += len(piece)
                return digest.hexdigest(), size
            finally:
                _release(response)

        return await self._call(rehash, f"object {key}")

    async def keys(self, prefix: str) -> AsyncGenerator[list[str], None]:
        """Those of our bucket that begin so, in their order, a page at a time; none where there is no bucket yet."""
        listed = self._client.list_objects(self.bucket, prefix=prefix, recursive=True)
        while True:
            try:
                page = await self._call(lambda: list(islice(listed, _KEYS_AT_ONCE)), f"keys of bucket {self.bucket}")
            except Missing:
                return
            if page:
                yield [str(one.object_name) for one in page]
            if len(page) < _KEYS_AT_ONCE:
                return

    async def delete(self, key: str) -> None:
        """Also of a key that is not there."""
        await self._call(lambda: self._client.remove_object(self.bucket, key), f"object {key}")

    async def reachable(self) -> bool:
        try:
            await self._call(lambda: self._client.bucket_exists(self.bucket), f"bucket {self.bucket}")
        except MedleyError:
            return False
        return True

    async def read(self, bucket: str, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """`length` bytes from `start`, in pieces of at most CHUNK. Raises Unavailable when S3 ends early."""
        if length <= 0:
            return
        what = f"object {bucket}/{key}"
        opening = self._submit(lambda: self._client.get_object(bucket, key, offset=start, length=length))
        opening.add_done_callback(_observed)
        try:
            response = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._release_later)
            raise
        except Exception as error:
            raise _translated(error, what) from error
        reading: asyncio.Future[bytes] | None = None
        try:
            left = length
            while left:
                reading = self._submit(lambda: bytes(response.read(min(CHUNK, left))))  # noqa: B023 - awaited at once
                reading.add_done_callback(_observed)
                piece = await self._translating(asyncio.shield(reading), what)
                if not piece:
                    raise Unavailable(f"S3 ended {what} {left} bytes early")
                left -= len(piece)
                yield piece
        finally:
            # Whoever left may have left a read running; the connection is closed when that has returned.
            if reading is not None and not reading.done():
                reading.add_done_callback(lambda _: self._discard(response))
            else:
                self._discard(response)

    def _release_later(self, opened: "asyncio.Future[Any]") -> None:
        if not opened.cancelled() and opened.exception() is None:
            self._discard(opened.result())

    def _discard(self, response: Any) -> None:
        with suppress(RuntimeError):  # after `close` the process ends, and the connection with it
            self._threads.submit(_release, response)

    def _submit(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _call(self, call: Callable[[], T], what: str) -> T:
        return await self._translating(self._submit(call), what)

    async def _translating(self, future: "asyncio.Future[T]", what: str) -> T:
        try:
            return await future
        except Exception as error:
            raise _translated(error, what) from error

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _observed(future: "asyncio.Future[Any]") -> None:
    """A result that nobody waits for any more must not be reported as forgotten."""
    if not future.cancelled():
        future.exception()


def _release(response: Any) -> None:
    """A response that was not read to its end cannot be used again: its connection is closed."""
    response.close()
    response.release_conn()
