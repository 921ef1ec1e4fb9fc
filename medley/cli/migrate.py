"""`medley migrate`: run the migrator, and say what the database has."""

import asyncio
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import asyncpg
import click

from medley.cli.home import Home
from medley.cli.options import home_option, json_option
from medley.cli.settings import CliSettings, environment
from medley.runtime import postgres


@click.group()
def migrate() -> None:
    """Migrations: the files schema/<timestamp>_<words>.sql, each applied once."""


@migrate.command()
@home_option
def apply(home: Path) -> None:
    """Apply what is pending to POSTGRES_DSN (and publish to NATS_URL), or to the running home."""
    dsn, nats = _addresses(home)
    env = {**environment(), "POSTGRES_DSN": dsn, "NATS_URL": nats}
    sys.exit(subprocess.run([sys.executable, "-P", "-m", "services.migrator"], env=env, check=False).returncode)


@migrate.command()
@home_option
@json_option
def status(home: Path, as_json: bool) -> None:
    """List the applied migrations."""
    dsn, _ = _addresses(home)
    applied = asyncio.run(_applied(dsn))
    if as_json:
        click.echo(json.dumps([{"filename": name, "applied_at": at.isoformat()} for name, at in applied]))
        return
    for name, at in applied:
        click.echo(f"{at:%Y-%m-%d %H:%M:%S} UTC  {name}")
    if not applied:
        click.echo("nothing is applied; run `medley migrate apply`")


async def _applied(dsn: str) -> list[tuple[str, datetime]]:
    connection = await postgres.connect(dsn, 5, "medley-cli")
    try:
        rows = await connection.fetch('SELECT filename, applied_at FROM schema_versions ORDER BY filename COLLATE "C"')
    except asyncpg.UndefinedTableError:
        return []
    finally:
        await connection.close()
    return [(row["filename"], row["applied_at"]) for row in rows]


def _addresses(home: Path) -> tuple[str, str]:
    """Postgres and NATS: from the environment when both are there, else the running home's."""
    settings = CliSettings()
    if settings.postgres_dsn and settings.nats_url:
        return settings.postgres_dsn.get_secret_value(), settings.nats_url.get_secret_value()
    state = Home(home).running()
    return state["postgres"], state["nats"]
