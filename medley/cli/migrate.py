"""`medley migrate`: finds the servers, and hands the command to the migrator."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from medley.cli.embedded.ports import free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.server import running
from medley.cli.embedded.wheels import MissingWheel
from medley.cli.home import Home
from medley.cli.options import home_option
from medley.cli.settings import CliSettings, environment

_ON_FILES = {"new", "compile", "lint", "contracts"}
_ON_SCRATCH = {"compile", "lint", "contracts", "verify", "baseline", "resolve"}


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Migrations: new, apply, plan, status, compile, lint, verify, gate, …",
)
@home_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def migrate(home: Path, arguments: tuple[str, ...]) -> None:
    """Run `medley migrate --help` to see the commands: they are the migrator's own."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    asks_for_help = not command or {"-h", "--help"} & set(arguments)
    told: dict[str, str] = {} if asks_for_help or command in _ON_FILES else _addresses(home)
    if command == "apply" and "NATS_URL" not in {**environment(), **told}:
        arguments = (*arguments, "--no-announce")
    scratch = command in _ON_SCRATCH and not asks_for_help and not CliSettings().migrate_scratch_dsn
    sys.exit(asyncio.run(_run(arguments or ("--help",), told, scratch)))


async def _run(arguments: tuple[str, ...], told: dict[str, str], scratch: bool) -> int:
    if not scratch:
        return await _migrator(arguments, told)
    async with _scratch_server() as found:
        return await _migrator(arguments, {**told, **found})


async def _migrator(arguments: tuple[str, ...], told: dict[str, str]) -> int:
    # In a session of ours: a Ctrl-C reaches both, and the migrator says how it ended.
    argv = [sys.executable, "-P", "-m", "services.migrator", *arguments]
    process = await asyncio.to_thread(subprocess.run, argv, env={**environment(), **told}, check=False)
    return process.returncode


@asynccontextmanager
async def _scratch_server() -> AsyncIterator[dict[str, str]]:
    """A Postgres for throw-away databases, when we have one; else the migrator makes them where POSTGRES_DSN is."""
    with tempfile.TemporaryDirectory(prefix="medley-scratch-", ignore_cleanup_errors=True) as folder:
        try:
            server = Postgres(Path(folder) / "postgres", free_port(), "scratch", durable=False)
        except MissingWheel:
            yield {}
            return
        await asyncio.to_thread(Path(folder).chmod, 0o711)  # the account that Postgres runs as passes through
        async with running(server, Path(folder) / "log"):
            # Its client programs go with it: compile needs a pg_dump that is as new as the server.
            path = os.pathsep.join((str(server.bin), environment().get("PATH", os.defpath)))
            yield {"MIGRATE_SCRATCH_DSN": server.url, "PATH": path}


def _addresses(home: Path) -> dict[str, str]:
    """Postgres and NATS: from the environment when Postgres is there, else the running home's."""
    if CliSettings().postgres_dsn:
        return {}
    state = Home(home).running()
    return {"POSTGRES_DSN": state["postgres"], "NATS_URL": state["nats"]}
