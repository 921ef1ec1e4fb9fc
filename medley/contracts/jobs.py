"""The ingest job: one request to put one file into the library."""

from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PathSource(_Model):
    """A file that the worker can open; it must lie below one of the worker's allowed folders."""

    kind: Literal["path"]
    path: str = Field(min_length=1, max_length=4096)


class InlineSource(_Model):
    """The bytes themselves, base64; for small files only."""

    kind: Literal["inline"]
    data: str


class ObjectSource(_Model):
    """An object of the S3 store."""

    kind: Literal["object"]
    bucket: str = Field(min_length=3, max_length=63)
    key: str = Field(min_length=1, max_length=1024)


class UrlSource(_Model):
    """A file behind an HTTP(S) address."""

    kind: Literal["url"]
    url: str = Field(min_length=1, max_length=4096)


class UploadSource(_Model):
    """A finished upload."""

    kind: Literal["upload"]
    upload_id: UUID


Source = Annotated[
    PathSource | InlineSource | ObjectSource | UrlSource | UploadSource,
    Field(discriminator="kind"),
]


class IngestJob(_Model):
    """A job on `ingest.jobs.<priority>`. Its id is the message id: published twice, it does nothing twice."""

    job_id: UUID = Field(default_factory=uuid4)
    source: Source
    filename: str | None = Field(default=None, max_length=1024)
    mime: str | None = Field(default=None, max_length=255)
    expected_sha256: Digest | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    client_id: str | None = Field(default=None, max_length=255)
