"""Settings of the API: `API_*` in the environment, and `INSECURE`."""

from ipaddress import ip_address

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from medley.runtime.errors import ConfigurationError


class ApiSettings(BaseSettings):
    """Units: bytes and seconds. `shape_chunk_bytes`: a response closes with the item that makes it this large."""

    model_config = SettingsConfigDict(env_prefix="API_", populate_by_name=True)

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=0, le=65535)
    secret: SecretStr = SecretStr("")
    insecure: bool = Field(default=False, validation_alias="INSECURE")
    shape_chunk_bytes: int = Field(default=10 * 1024 * 1024, ge=1)
    long_poll_seconds: float = Field(default=20, gt=0)
    sse_seconds: float = Field(default=60, gt=0)
    cache_max_age: int = Field(default=60, ge=0)
    cache_stale_age: int = Field(default=300, ge=0)
    tail_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    open_seconds: float = Field(default=30, gt=0)
    subset_seconds: float = Field(default=30, gt=0)
    allow_shape_deletion: bool = False
    max_initial_requests: int = Field(default=300, ge=1)
    max_live_requests: int = Field(default=10_000, ge=1)

    def check(self) -> None:
        """Refuse to listen to others without a secret. Raises ConfigurationError."""
        if self.secret.get_secret_value() or self.insecure:
            return
        try:
            loopback = self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ConfigurationError(
                f"API_HOST={self.host} is open to others and there is no API_SECRET; "
                "set API_SECRET, or INSECURE=true if that is what you want"
            )
