"""What the command line takes from the environment; the only file here that reads it."""

import os
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings


class CliSettings(BaseSettings):
    """Servers to use instead of embedded ones, and where the API is when no home runs."""

    postgres_dsn: SecretStr | None = None
    nats_url: SecretStr | None = None
    s3_endpoint: str | None = None
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "medley"
    ingest_allowed_folders: str | None = None
    log_format: str | None = None
    api_url: str | None = None
    api_secret: SecretStr | None = None
    migrate_scratch_dsn: SecretStr | None = None
    sync_slot: str = "medley"
    no_color: str | None = None


def environment() -> dict[str, str]:
    """A copy of our environment, for children."""
    return dict(os.environ)


def samples() -> Path:
    """The media that the repository ships."""
    return Path(__file__).resolve().parents[2] / "samples"
