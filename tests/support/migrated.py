"""A migrated database: the schema of the library on a test's own servers."""

from pydantic import SecretStr

from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.migrator.app import migrate


def postgres_settings(dsn: str) -> PostgresSettings:
    return PostgresSettings(dsn=SecretStr(dsn))


def nats_settings(url: str) -> NatsSettings:
    return NatsSettings(url=SecretStr(url))


async def migrated(dsn: str, nats_url: str) -> str:
    """Apply every migration and publish the verdict; gives the address back."""
    await migrate(postgres_settings(dsn), nats_settings(nats_url), SchemaSettings())
    return dsn
