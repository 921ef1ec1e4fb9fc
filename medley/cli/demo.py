"""`medley demo`: the whole stack on real files, and every row as it arrives."""

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console

from medley.cli import jobs, plan
from medley.cli.home import Home, State
from medley.cli.keeper import GaveUp
from medley.cli.options import stack_options, with_signals
from medley.cli.output import LogFile
from medley.cli.settings import CliSettings, environment, samples
from medley.cli.stack import Stack
from medley.cli.story import Story
from medley.contracts.jobs import IngestJob
from medley.runtime.errors import ConfigurationError

_PLAIN_WIDTH = 120
_NOT_MEDIA = {".md", ".py"}


@click.command()
@click.option(
    "--media",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of your own files (default: the samples that come with Medley).",
)
@click.option("--once", is_flag=True, help="End after the table, with exit code 0.")
@stack_options
def demo(media: Path | None, once: bool, home: Path, port: int, allow: tuple[Path, ...], no_s3: bool) -> None:
    """Start everything, put real files in, and print each row as it comes out of the shapes, live.

    Stays up until Ctrl-C. Logs of all processes are in the home's folder `logs`.
    """
    folder = (media or samples()).resolve()
    if not folder.is_dir():
        raise ConfigurationError(f"no sample media at {folder}; name a folder of your own with --media")
    console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH, no_color=True, highlight=False)
    settings = CliSettings()
    wishes = plan.Wishes(port=port, allow=(folder, Path.cwd(), *allow), s3=not no_s3)
    place = Home(home)
    with place.lock():
        stack = Stack(
            place,
            plan.make(place, settings, environment(), wishes),
            lambda name: LogFile(place / "logs" / f"{name}.log"),
            lambda sentence: console.print(sentence, style="dim", highlight=False, markup=False),
        )
        try:
            asyncio.run(_run(stack, folder, once, console))
        except GaveUp as end:
            for line in end.tail:
                click.echo(f"  {line}", err=True)
            raise


async def _run(stack: Stack, folder: Path, once: bool, console: Console) -> None:
    async def until(stop: asyncio.Event) -> None:
        waiting = console.status("starting Postgres, NATS, S3 and the services")
        waiting.start()

        async def ready(state: State) -> None:
            waiting.stop()
            # Listed in a thread: the folder may be large, or on a slow disk.
            asked = await asyncio.to_thread(_jobs, folder)
            console.print(f"medley is ready: {state['api']}", style="bold", highlight=False)
            console.print(f"putting {len(asked)} files into the library from {folder}", highlight=False)
            await Story(state["api"], state["nats"], console).tell(asked)
            if once:
                stop.set()
                return
            console.print(f"\n{_next(state)}", highlight=False, markup=False)

        try:
            await stack.run(stop, ready)
        finally:
            waiting.stop()

    await with_signals(until, lambda sentence: console.print(sentence, style="dim"), stack.kill)


def _jobs(folder: Path) -> list[IngestJob]:
    """One for each file, but for what the samples' makers wrote for people."""
    return [jobs.job_for(path) for path in jobs.files([folder]) if path.suffix not in _NOT_MEDIA]


def _next(state: State) -> str:
    home = f" --home {state['home']}"
    return (
        "The stack stays up until Ctrl-C. In another terminal:\n"
        f"  medley tail songs{home}            follow a table\n"
        f"  medley ingest FILE...{home}        put in more\n"
        f"  medley info{home}                  every address\n"
        f"  curl '{state['api']}/v1/shape?table=songs&offset=-1'"
    )
