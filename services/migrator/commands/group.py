"""How a command of `medley migrate` answers: people, programs (`--json`) and scripts (its exit code)."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncpg
import click
from pydantic import ValidationError

from medley.runtime import logs, postgres
from medley.runtime.errors import MedleyError
from medley.runtime.settings import PostgresSettings, SchemaSettings
from services.migrator import app, migrations
from services.migrator.commands.report import Report
from services.migrator.explain import refused
from services.migrator.scratch.rehearsal import Rehearse, on_server
from services.migrator.settings import MigrateSettings

EXIT_CODES = """\b
Exit codes: 0 all is well, 1 it failed or was refused, 2 wrong usage,
3 behind (migrations are pending), 4 incompatible (the history is not the
database's), 5 drift (made by no migration), 6 unreachable."""

json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def migrate() -> None:
    """Migrations: the files schema/<timestamp>_<words>.sql, each applied once.

    Addresses come from POSTGRES_DSN and NATS_URL, or from the running home (--home); the files from SCHEMA_DIR.
    """
    logs.configure("migrator")


def answer(work: Coroutine[Any, Any, Report], as_json: bool) -> None:
    """Print the report and end with its code; what goes wrong on purpose is one sentence, with a code of its own."""
    try:
        report = asyncio.run(work)
    except (MedleyError, ValidationError, *postgres.FAILURES) as error:
        _fail(error, as_json)
    click.echo(json.dumps(report.value, default=str) if as_json else report.text)
    sys.exit(report.code)


def _fail(error: Exception, as_json: bool) -> None:
    code = error.exit_code if isinstance(error, MedleyError) else 1
    sentence = refused(error, "Postgres") if isinstance(error, asyncpg.PostgresError) else str(error)
    if as_json:
        click.echo(json.dumps({"error": sentence, "code": code}))
    click.echo(f"medley: {sentence}", err=True)
    sys.exit(code)


async def connected(work: Callable[[asyncpg.Connection], Awaitable[Report]]) -> Report:
    """On a session that changes nothing unless asked to, and takes no lock."""
    settings = PostgresSettings()
    dsn = settings.dsn.get_secret_value()
    connection = await postgres.connect(dsn, settings.wait_seconds, "medley-migrate")
    try:
        return await work(connection)
    finally:
        await connection.close()


async def locked(work: Callable[[asyncpg.Connection], Awaitable[Report]]) -> Report:
    async with app.locked_session(PostgresSettings()) as connection:
        return await work(connection)


def files() -> list[migrations.Migration]:
    return migrations.read(SchemaSettings().dir)


def database() -> str:
    return postgres.shown(PostgresSettings().dsn.get_secret_value())


def scratch_server() -> str:
    """Where scratch databases are made: `MIGRATE_SCRATCH_DSN`, else the server of `POSTGRES_DSN`."""
    return MigrateSettings().scratch_dsn or PostgresSettings().dsn.get_secret_value()


def rehearse() -> Rehearse:
    return on_server(scratch_server())
