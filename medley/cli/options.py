"""Options that several commands share, and how a command runs a coroutine until a signal."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=Path(".medley"),
    show_default=True,
    help="Folder that holds everything of one stack.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
api_option = click.option("--api", "api_url", metavar="URL", help="The API's address (default: the running home's).")
nats_option = click.option("--nats", "nats_url", metavar="URL", help="The bus's address (default: the running home's).")


def stack_options(command: F) -> F:
    """`--home`, `--port`, `--allow`, `--no-s3`."""
    for option in (
        click.option("--no-s3", is_flag=True, help="Start no S3: blobs are kept in Postgres."),
        click.option(
            "--allow",
            type=click.Path(path_type=Path),
            multiple=True,
            metavar="DIR",
            help="Folder from which files may be ingested by path; repeatable (default: the current folder).",
        ),
        click.option(
            "--port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="The API's (0: any free)."
        ),
        home_option,
    ):
        command = option(command)
    return command


async def with_signals(
    run: Callable[[asyncio.Event], Awaitable[None]], say: Callable[[str], None], hurry: Callable[[], None]
) -> None:
    """`run(stop)`: the first SIGINT, SIGTERM or SIGHUP sets `stop`, every further one calls `hurry`."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            say("killing everything")
            hurry()
        else:
            say("stopping in order; once more kills everything at once")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup: whoever made us deaf to a hangup meant it. (A shell does it to SIGINT of every background job.)
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, asked)
    await run(stop)
