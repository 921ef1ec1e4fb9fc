"""`medley`: the command for people."""

import sys

import click

from medley.cli import version
from medley.cli.demo import demo
from medley.cli.info import info
from medley.cli.ingest import ingest
from medley.cli.migrate import migrate
from medley.cli.status import status
from medley.cli.tail import tail
from medley.cli.up import up
from medley.runtime.errors import MedleyError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version.own(), message="medley %(version)s")
def medley() -> None:
    """A self-hosted media library that syncs."""


for command in (up, demo, ingest, tail, status, info, migrate):
    medley.add_command(command)


def main() -> None:
    """Run; what goes wrong on purpose is one sentence and exit code 1."""
    try:
        medley(standalone_mode=True)
    except MedleyError as error:
        click.echo(f"medley: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
