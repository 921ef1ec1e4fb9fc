"""The migrator's verdict, as it stands in the bucket `schema` under `current`."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class SchemaState(BaseModel):
    """What the last run of the migrator left: the migrations in the order in which they ran, what the schema is
    meant to be, and why the run failed if it did. Postgres is the truth; this is how others are told to look."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["compatible", "failed"]
    applied: tuple[str, ...]
    fingerprint: str | None = None
    history: str | None = None
    reason: str | None = None
    published_at: datetime

    @property
    def head(self) -> str | None:
        """The newest migration's file name."""
        return self.applied[-1] if self.applied else None
