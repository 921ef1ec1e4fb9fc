"""The commands that look at a database, or change it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import click
from pydantic import ValidationError

from medley.gate.findings import ROLES, Role
from medley.gate.records import Compat
from medley.runtime.errors import MedleyError, Permanent
from medley.runtime.process import run as run_process
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.migrator import app, migrations
from services.migrator.commands import adopt, asking, seeds, verify
from services.migrator.commands.group import answer, connected, database, files, json_option, locked, migrate, rehearse
from services.migrator.commands.report import Report
from services.migrator.commands.status import glance, look, plan_report
from services.migrator.commands.status import status as status_report
from services.migrator.settings import MigrateSettings


@migrate.command()
@click.option("--allow-out-of-order", is_flag=True, help="Apply files older than applied ones, too; it is recorded.")
@click.option("--no-announce", is_flag=True, help="Tell nobody on the bus; services look by themselves.")
@json_option
def apply(allow_out_of_order: bool, no_announce: bool, as_json: bool) -> None:
    """Apply what is pending, each file once, in one transaction with its row."""
    done: list[dict[str, Any]] = []

    async def main(stop: asyncio.Event) -> None:
        try:
            nats = None if no_announce else NatsSettings()
            wishes = app.Wishes(PostgresSettings(), SchemaSettings(), nats, MigrateSettings(), allow_out_of_order)
            state = await app.stoppable(stop, wishes, lambda file, compat: done.append(_done(file, compat)))
        except (MedleyError, ValidationError) as error:
            if as_json:
                code = error.exit_code if isinstance(error, MedleyError) else 1
                click.echo(json.dumps({"error": str(error), "code": code, "applied": done}))
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
        return plan_report(await glance(connection, files()))

    answer(connected(work), as_json)


@migrate.command()
@json_option
def status(as_json: bool) -> None:
    """List what is applied and pending, edited files, drift, INVALID indexes."""

    async def work(connection: asyncpg.Connection) -> Report:
        return status_report(await look(connection, files()), database())

    answer(connected(work), as_json)


@migrate.command("verify")
@json_option
def verify_(as_json: bool) -> None:
    """Apply the files to a scratch database, and compare every step with this one."""

    async def work(connection: asyncpg.Connection) -> Report:
        found = await look(connection, files())
        steps = [] if found.plan.refusals else await rehearse()(verify.applied_files(found, files()))
        return verify.verify(found, steps, database())

    answer(connected(work), as_json)


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
        return await adopt.baseline(connection, files(), Path(at).name, rehearse())

    answer(locked(work), as_json)


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
                return await adopt.applied(connection, files(), name)
            case "retry":
                return await adopt.retry(connection, files(), name)
            case "edited":
                return await adopt.edited(connection, files(), name, rehearse())
            case _:
                raise Permanent("say which: --applied, --retry or --edited")

    answer(locked(work), as_json)


@migrate.command()
@json_option
def seed(as_json: bool) -> None:
    """Run seeds.sql; a second time does nothing."""

    async def work(connection: asyncpg.Connection) -> Report:
        return await seeds.seed(connection, SchemaSettings().dir)

    answer(locked(work), as_json)
