"""Settings groups that several services share. The only place, with each service's own settings, that reads
the environment. Every field's name is its environment variable, in capitals, after the group's prefix."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_CHECKOUT = Path(__file__).resolve().parents[2] / "schema"
_INSTALLED = Path(__file__).resolve().parents[1] / "schema"


class PostgresSettings(BaseSettings):
    """`POSTGRES_DSN`: a postgresql:// address. `POSTGRES_WAIT_SECONDS`: how long to wait for it at start."""

    model_config = SettingsConfigDict(env_prefix="POSTGRES_")

    dsn: SecretStr = SecretStr("postgresql://postgres@127.0.0.1:5432/medley")
    wait_seconds: float = 60
    pool_size: int = Field(default=8, ge=1)


class NatsSettings(BaseSettings):
    """`NATS_URL`: one address or several, comma-separated, with user and password in them where needed.
    `NATS_MONITORING_URL`: the server's monitoring (http://host:8222), for what it says of its disk; may be empty."""

    model_config = SettingsConfigDict(env_prefix="NATS_")

    url: SecretStr = SecretStr("nats://127.0.0.1:4222")
    monitoring_url: str = ""
    wait_seconds: float = 60

    @property
    def servers(self) -> list[str]:
        return [part.strip() for part in self.url.get_secret_value().split(",")]


class S3Settings(BaseSettings):
    """`S3_ENDPOINT` (http://host:port; empty: no S3, blobs go to Postgres), its keys, bucket and region."""

    model_config = SettingsConfigDict(env_prefix="S3_")

    endpoint: str = ""
    access_key: str = ""
    secret_key: SecretStr = SecretStr("")
    bucket: str = "medley"
    region: str = "us-east-1"


class LogSettings(BaseSettings):
    """`LOG_LEVEL`, and `LOG_FORMAT`: `auto` is for people on a terminal and JSON elsewhere."""

    model_config = SettingsConfigDict(env_prefix="LOG_")

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class SchemaSettings(BaseSettings):
    """`SCHEMA_DIR`: the folder of migrations. `SCHEMA_WAIT_SECONDS`: how long the gate waits before it gives up
    (0: for ever). `SCHEMA_RECHECK_SECONDS`: how often a running service looks whether the schema still fits."""

    model_config = SettingsConfigDict(env_prefix="SCHEMA_")

    dir: Path = _CHECKOUT if _CHECKOUT.is_dir() else _INSTALLED
    wait_seconds: float = 0
    recheck_seconds: float = Field(default=10, gt=0)


class HealthSettings(BaseSettings):
    """`HEALTH_PORT`: answer `GET /healthz` there (0: not at all), on `HEALTH_HOST`."""

    model_config = SettingsConfigDict(env_prefix="HEALTH_")

    port: int = 0
    host: str = "127.0.0.1"
