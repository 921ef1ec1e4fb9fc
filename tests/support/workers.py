"""An ingest worker inside the test's process, on the test's servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from medley.blobs.settings import BlobSettings
from medley.runtime.settings import S3Settings, SchemaSettings
from services.ingest.app import Settings, build
from services.ingest.settings import IngestSettings
from tests.support.migrated import nats_settings, postgres_settings
from tests.support.servers import S3

NO_S3 = S3Settings(endpoint="")


def s3_settings(s3: S3) -> S3Settings:
    return S3Settings(
        endpoint=s3.endpoint, access_key=s3.access_key, secret_key=SecretStr(s3.secret_key), bucket=s3.bucket
    )


def worker_settings(dsn: str, nats_url: str, s3: S3Settings, spool: Path, **ingest: Any) -> Settings:
    """Quick retries, and little patience with S3."""
    quick = {"retry_first_seconds": 0.1, "retry_most_seconds": 0.5, "spool_dir": spool, "stop_seconds": 5}
    return Settings(
        IngestSettings.model_validate(quick | ingest),
        postgres_settings(dsn),
        nats_settings(nats_url),
        s3,
        BlobSettings(s3_connect_seconds=1, s3_read_seconds=5, s3_retry_seconds=0.2, inline_limit=1024 * 1024),
        SchemaSettings(),
    )


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[None]:
    async with build(settings):
        yield
