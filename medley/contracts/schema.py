"""The migrator's verdict, as it stands in the bucket `schema` under `current`."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class SchemaState(BaseModel):
    """Which migrations the database has, in order, and whether the last run left it whole."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["compatible", "failed"]
    applied: tuple[str, ...]
    reason: str | None = None
    published_at: datetime

    @property
    def head(self) -> str | None:
        """The newest migration's file name."""
        return self.applied[-1] if self.applied else None
