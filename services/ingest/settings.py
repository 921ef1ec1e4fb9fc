"""Settings of ingest."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024


class IngestSettings(BaseSettings):
    """`INGEST_…`. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="INGEST_")

    allowed_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    concurrency: int = Field(default=4, ge=1, le=64)
    max_file_bytes: int = Field(default=4 * 1024 * MIB, gt=0)
    inline_job_bytes: int = Field(default=4 * MIB, gt=0)
    spool_dir: Path = Path(tempfile.gettempdir()) / "medley-spool"
    ack_wait_seconds: float = Field(default=30, gt=1)
    retry_first_seconds: float = Field(default=1, gt=0)
    retry_most_seconds: float = Field(default=60, gt=0)
    unexpected_attempts: int = Field(default=5, ge=1)
    extract_seconds: float = Field(default=60, gt=0)
    image_pixels: int = Field(default=50_000_000, gt=0)
    stop_seconds: float = Field(default=10, ge=0)

    @field_validator("allowed_folders", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """One text, as PATH is written: folders with a colon between (a semicolon on Windows)."""
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value
