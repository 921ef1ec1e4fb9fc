"""The commands of `medley migrate`; each answers people, programs (`--json`) and scripts (its exit code)."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click
from pydantic import ValidationError

from medley.gate.findings import ROLES, Role
from medley.gate.ledger import Compat
from medley.runtime import logs, postgres
from medley.runtime.errors import MedleyError, Permanent
from medley.runtime.process import run as run_process
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.migrator import adopt, app, asking, migrations, seeds, template, verify
from services.migrator.explain import refused
from services.migrator.rehearsal import Rehearse, on_server
from services.migrator.report import Report
from services.migrator.settings import MigrateSettings
from services.migrator.status import glance, look, plan_report
from services.migrator.status import status as status_report

F = TypeVar("F", bound=Callable[..., Any])
Files = list[migrations.Migration]

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


async def _connected(work: Callable[[asyncpg.Connection], Awaitable[Report]]) -> Report:
    """On a session that changes nothing unless asked to, and takes no lock."""
    settings = PostgresSettings()
    dsn = settings.dsn.get_secret_value()
    connection = await postgres.connect(dsn, settings.wait_seconds, "medley-migrate")
    try:
        return await work(connection)
    finally:
        await connection.close()


async def _locked(work: Callable[[asyncpg.Connection], Awaitable[Report]]) -> Report:
    async with app.locked_session(PostgresSettings()) as connection:
        return await work(connection)


def _files() -> Files:
    return migrations.read(SchemaSettings().dir)


def _database() -> str:
    return postgres.shown(PostgresSettings().dsn.get_secret_value())


def scratch_server() -> str:
    """Where scratch databases are made: `MIGRATE_SCRATCH_DSN`, else the server of `POSTGRES_DSN`."""
    return MigrateSettings().scratch_dsn or PostgresSettings().dsn.get_secret_value()


def _rehearse() -> Rehearse:
    return on_server(scratch_server())


@migrate.command()
@click.argument("name")
@json_option
def new(name: str, as_json: bool) -> None:
    """Write a commented template, and print its path."""

    async def work() -> Report:
        path = template.new(SchemaSettings().dir, name)
        return Report(str(path), {"path": str(path)})

    answer(work(), as_json)


@migrate.command()
@click.option("--allow-out-of-order", is_flag=True, help="Apply files older than applied ones, too; it is recorded.")
@click.option("--no-announce", is_flag=True, help="Tell nobody on the bus; services look by themselves.")
@json_option
def apply(allow_out_of_order: bool, no_announce: bool, as_json: bool) -> None:
    """Apply what is pending, each file once, in one transaction with its row."""
    done: list[dict[str, Any]] = []

    async def main(stop: asyncio.Event) -> None:
        nats = None if no_announce else NatsSettings()
        wishes = app.Wishes(PostgresSettings(), SchemaSettings(), nats, MigrateSettings(), allow_out_of_order)
        try:
            state = await app.stoppable(stop, wishes, lambda file, compat: done.append(_done(file, compat)))
        except MedleyError as error:
            if as_json:
                click.echo(json.dumps({"error": str(error), "code": error.exit_code, "applied": done}))
            raise
        if as_json:
            click.echo(json.dumps({"applied": done, "fingerprint": state.fingerprint, "history": state.history}))
        else:
            click.echo("\n".join(_line(row) for row in done) or f"nothing to apply: {state.head or 'empty'}")

    run_process("migrator", main)


def _done(migration: migrations.Migration, compat: Compat) -> dict[str, Any]:
    return {"filename": migration.filename, **compat.as_dict()}


def _line(row: dict[str, Any]) -> str:
    breaks = [role for role in ROLES if row[role] == "breaking"]
    sentences = "".join(f"\n  {finding['sentence']}" for finding in row["findings"])
    return f"applied {row['filename']}" + (f", which breaks {', '.join(breaks)}:{sentences}" if breaks else "")


@migrate.command()
@json_option
def plan(as_json: bool) -> None:
    """Say what `apply` would do, or why it would refuse; change nothing."""

    async def work(connection: asyncpg.Connection) -> Report:
        return plan_report(await glance(connection, _files()))

    answer(_connected(work), as_json)


@migrate.command()
@json_option
def status(as_json: bool) -> None:
    """List what is applied and pending, edited files, drift, INVALID indexes."""

    async def work(connection: asyncpg.Connection) -> Report:
        return status_report(await look(connection, _files()), _database())

    answer(_connected(work), as_json)


@migrate.command("verify")
@json_option
def verify_(as_json: bool) -> None:
    """Apply the files to a scratch database, and compare every step with this one."""

    async def work(connection: asyncpg.Connection) -> Report:
        found = await look(connection, _files())
        steps = [] if found.plan.refusals else await _rehearse()(verify.applied_files(found, _files()))
        return verify.verify(found, steps, _database())

    answer(_connected(work), as_json)


@migrate.command()
@click.option("--service", metavar="NAME", help="Ask as this service of ours: ingest, sync, api.")
@click.option("--contract", type=click.Path(path_type=Path), help="Ask as who needs this: a contract, or a bundle.")
@click.option("--role", type=click.Choice(["reader", "writer", "replica"]), help="One role (alone: of any table).")
@click.option("--timeout", type=float, default=0, metavar="SECONDS", help="Wait as long while it is behind.")
@json_option
def gate(service: str | None, contract: Path | None, role: Role | None, timeout: float, as_json: bool) -> None:
    """Ask what a service would be told: equal, compatible, behind, incompatible, drift, unreachable."""

    async def work() -> Report:
        build = asking.build_of(SchemaSettings().dir, service, contract, role)
        return asking.report(await asking.answer(PostgresSettings(), build, timeout))

    answer(work(), as_json)


@migrate.command()
@click.option("--at", required=True, metavar="FILE", help="The newest migration that the database already has.")
@json_option
def baseline(at: str, as_json: bool) -> None:
    """Adopt a database: record what it has, if it is what the files make."""

    async def work(connection: asyncpg.Connection) -> Report:
        return await adopt.baseline(connection, _files(), Path(at).name, _rehearse())

    answer(_locked(work), as_json)


@migrate.command()
@click.argument("file")
@click.option("--applied", "word", flag_value="applied", help="What was started outside a transaction was done.")
@click.option("--retry", "word", flag_value="retry", help="It was not: run it again.")
@click.option("--edited", "word", flag_value="edited", help="The file was edited, and makes the same schema.")
@json_option
def resolve(file: str, word: str | None, as_json: bool) -> None:
    """Say what became of a migration that the migrator cannot know about."""

    async def work(connection: asyncpg.Connection) -> Report:
        name = Path(file).name
        match word:
            case "applied":
                return await adopt.applied(connection, _files(), name)
            case "retry":
                return await adopt.retry(connection, _files(), name)
            case "edited":
                return await adopt.edited(connection, _files(), name, _rehearse())
            case _:
                raise Permanent("say which: --applied, --retry or --edited")

    answer(_locked(work), as_json)


@migrate.command()
@json_option
def seed(as_json: bool) -> None:
    """Run seeds.sql; a second time does nothing."""

    async def work(connection: asyncpg.Connection) -> Report:
        return await seeds.seed(connection, SchemaSettings().dir)

    answer(_locked(work), as_json)
