"""What the migrator is told from outside."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class MigrateSettings(BaseSettings):
    """`MIGRATE_LOCK_TIMEOUT_SECONDS`: how long one try may wait for a table (everybody behind it waits as well).
    `MIGRATE_LOCK_WAIT_SECONDS`: how long tries are repeated. `MIGRATE_STATEMENT_TIMEOUT_SECONDS` (0: none).
    `MIGRATE_SCRATCH_DSN`: a server for throw-away databases (default: the one of `POSTGRES_DSN`)."""

    model_config = SettingsConfigDict(env_prefix="MIGRATE_")

    lock_timeout_seconds: float = Field(default=2, gt=0)
    lock_wait_seconds: float = Field(default=60, ge=0)
    statement_timeout_seconds: float = Field(default=0, ge=0)
    scratch_dsn: str = ""
