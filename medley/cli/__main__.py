"""`medley`: the command for people."""

import sys
from importlib import import_module

import click

from medley.cli import version
from medley.runtime.errors import MedleyError

COMMANDS = ("up", "demo", "ingest", "tail", "status", "info", "verify", "migrate")


class Commands(click.Group):
    """Each command is a module of its name here, imported when it is asked for: nobody waits for all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"medley.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version.own(), message="medley %(version)s")
def medley() -> None:
    """A self-hosted media library that syncs."""


def main() -> None:
    """Run; what goes wrong on purpose is one sentence and exit code 1."""
    try:
        medley(standalone_mode=True)
    except MedleyError as error:
        click.echo(f"medley: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
