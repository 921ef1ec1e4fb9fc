"""`medley up`: everything, embedded, in the foreground."""

import asyncio
import sys
from pathlib import Path

import click

from medley.cli import plan
from medley.cli.home import Home, State
from medley.cli.keeper import GaveUp
from medley.cli.options import stack_options, with_signals
from medley.cli.output import LogFile, Output, Screen
from medley.cli.settings import CliSettings, environment
from medley.cli.stack import Stack


@click.command()
@stack_options
def up(home: Path, port: int, allow: tuple[Path, ...], no_s3: bool) -> None:
    """Start everything and stay: Postgres, NATS, S3, then the services.

    A server whose address is set (POSTGRES_DSN, NATS_URL, S3_ENDPOINT with its keys) is used instead of an embedded
    one; embedded ones log to files in the home. Ctrl-C or SIGTERM stops all in order, with exit code 0; a second one
    kills at once.
    """
    terminal = sys.stderr.isatty()
    settings = CliSettings()
    screen = Screen(sys.stderr, colours=terminal and settings.no_color is None)
    wishes = plan.Wishes(port=port, allow=allow, s3=not no_s3, readable_logs=terminal)
    folder = Home(home)
    with folder.lock():
        planned = plan.make(folder, settings, environment(), wishes)
        servers = {server.name for server in planned.servers}

        def output(name: str) -> Output:
            return LogFile(folder / "logs" / f"{name}.log") if name in servers else screen.output(name)

        stack = Stack(folder, planned, output, lambda sentence: screen.say("medley", sentence))
        if servers:
            screen.say("medley", f"starting; {', '.join(sorted(servers))} log to {folder / 'logs'}")
        try:
            asyncio.run(_run(stack, screen))
        except GaveUp as end:
            for line in end.tail:
                click.echo(f"  {line}", err=True)
            raise
        screen.say("medley", "stopped")


async def _run(stack: Stack, screen: Screen) -> None:
    async def ready(state: State) -> None:
        click.echo(
            f"medley is ready: {state['api']}  (Ctrl-C stops it, `medley info --home {state['home']}` says more)"
        )
        sys.stdout.flush()

    async def until(stop: asyncio.Event) -> None:
        await stack.run(stop, ready)

    await with_signals(until, lambda sentence: screen.say("medley", sentence), stack.kill)
