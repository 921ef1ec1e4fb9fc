"""Settings of the blob store."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from medley.blobs.placement import Limits

MIB = 1024 * 1024


class BlobSettings(BaseSettings):
    """`BLOB_INLINE_BELOW`: smaller blobs go to Postgres by choice. `BLOB_INLINE_LIMIT`: up to here they go there when
    S3 is absent or down. `BLOB_S3_RETRY_SECONDS`: how long S3 counts as down after it failed."""

    model_config = SettingsConfigDict(env_prefix="BLOB_")

    inline_below: int = Field(default=0, ge=0, le=256 * MIB)
    inline_limit: int = Field(default=16 * MIB, ge=0, le=256 * MIB)
    s3_connect_seconds: float = Field(default=2, gt=0)
    s3_read_seconds: float = Field(default=15, gt=0)
    s3_retry_seconds: float = Field(default=5, ge=0)

    @property
    def limits(self) -> Limits:
        return Limits(self.inline_below, self.inline_limit)
