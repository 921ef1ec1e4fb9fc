"""Wires the blob store from settings: with S3 when an endpoint is set, without it otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import asyncpg

from medley.blobs.fallback import FallbackStore
from medley.blobs.inline import InlineStore
from medley.blobs.objects import ObjectStore
from medley.blobs.s3 import S3
from medley.blobs.settings import BlobSettings
from medley.blobs.shelf import Shelf
from medley.runtime.settings import S3Settings


class Blobs(NamedTuple):
    """What a service gets: the store to write to, the shelf to read from, and S3 itself when there is one."""

    store: FallbackStore
    shelf: Shelf
    s3: S3 | None


@contextmanager
def open_blobs(
    pool: asyncpg.Pool, s3_settings: S3Settings | None = None, settings: BlobSettings | None = None
) -> Iterator[Blobs]:
    """The store while the block runs. Contacts nobody; raises ConfigurationError for an endpoint that is no URL."""
    s3_settings = s3_settings or S3Settings()
    settings = settings or BlobSettings()
    s3 = S3(s3_settings, settings) if s3_settings.endpoint else None
    store = FallbackStore(
        ObjectStore(pool, s3) if s3 else None,
        InlineStore(pool, max(settings.inline_limit, settings.inline_below)),
        settings.limits,
        settings.s3_retry_seconds,
    )
    try:
        yield Blobs(store, Shelf(pool, store), s3)
    finally:
        if s3:
            s3.close()
