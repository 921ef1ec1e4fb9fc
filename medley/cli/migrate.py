"""`medley migrate`: finds the servers, and hands the command to the migrator.

What only needs a scratch server gets one of its own where there is none, which ends with the command, however that
ends; a signal is passed on, and waited for.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import takewhile
from pathlib import Path

import click

from medley.cli.embedded import wheels
from medley.cli.embedded.ports import free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.server import running
from medley.cli.embedded.wheels import MissingWheel
from medley.cli.home import Home
from medley.cli.options import home_option, with_signals
from medley.cli.settings import CliSettings, environment

_ON_DATABASE = {"apply", "plan", "status", "verify", "gate", "baseline", "resolve", "seed"}
_ON_SCRATCH = {"compile", "lint", "contracts", "verify", "baseline", "resolve"}
_STOPPED = 130


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Migrations: new, apply, plan, status, compile, lint, verify, gate, …",
)
@home_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def migrate(home: Path, arguments: tuple[str, ...]) -> None:
    """Run `medley migrate --help` to see the commands: they are the migrator's own."""
    flags = tuple(takewhile(lambda word: word.startswith("-"), arguments))
    arguments = (*arguments[len(flags) :][:1], *flags, *arguments[len(flags) :][1:])
    command = "" if {"-h", "--help"} & set(arguments) else next(iter(arguments), "")
    told = _addresses(home) if command in _ON_DATABASE else {}
    if command == "apply" and "NATS_URL" not in {**environment(), **told}:
        arguments = (*arguments, "--no-announce")
    sys.exit(asyncio.run(_Run(arguments or ("--help",), told).main(command in _ON_SCRATCH)))


class _Run:
    """One command, as a process of its own."""

    def __init__(self, arguments: tuple[str, ...], told: dict[str, str]) -> None:
        self._arguments = arguments
        self._told = told
        self._process: asyncio.subprocess.Process | None = None
        self._code = _STOPPED

    async def main(self, needs_scratch: bool) -> int:
        """Its exit code; as shells do, 128 and the signal's number for one that a signal ended."""
        scratch = CliSettings().migrate_scratch_dsn

        async def work(stop: asyncio.Event) -> None:
            async with AsyncExitStack() as stack:
                if needs_scratch:
                    self._told["PATH"] = _with_client_programs()
                if needs_scratch and not scratch:
                    self._told |= await stack.enter_async_context(_scratch_server())
                if not stop.is_set():
                    self._code = await self._migrator(stop)

        await with_signals(work, lambda sentence: click.echo(f"medley: {sentence}", err=True), self._kill)
        return self._code if self._code >= 0 else 128 - self._code

    async def _migrator(self, stop: asyncio.Event) -> int:
        # In a session of its own: Ctrl-C reaches us alone, and it is asked to end once, and not by the terminal too.
        argv = (sys.executable, "-P", "-m", "services.migrator", *self._arguments)
        self._process = await asyncio.create_subprocess_exec(
            *argv, env={**environment(), **self._told}, start_new_session=True
        )
        ended, asked = asyncio.ensure_future(self._process.wait()), asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ended.done():
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)  # it takes back what it has begun
        return await ended

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


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
            yield {"MIGRATE_SCRATCH_DSN": server.url}


def _with_client_programs() -> str:
    """PATH with those of the newest Postgres that we have: compile needs a pg_dump that is as new as the server."""
    path = environment().get("PATH", os.defpath)
    with suppress(MissingWheel):
        return os.pathsep.join((str(wheels.postgres_bin()), path))
    return path


def _addresses(home: Path) -> dict[str, str]:
    """Postgres and NATS: from the environment when Postgres is there, else the running home's."""
    if CliSettings().postgres_dsn:
        return {}
    state = Home(home).running()
    return {"POSTGRES_DSN": state["postgres"], "NATS_URL": state["nats"]}
