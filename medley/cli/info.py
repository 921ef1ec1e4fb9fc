"""`medley info`: every address, pid and version of the stack that runs on a home."""

import json
from pathlib import Path
from typing import Any

import click

from medley.cli.home import Home
from medley.cli.options import home_option, json_option

_INTERNAL = ("processes", "ready", "up")


@click.command()
@home_option
@json_option
def info(home: Path, as_json: bool) -> None:
    """Say where everything of the running stack is. Passwords are included: the output is for you alone."""
    state: dict[str, Any] = Home(home).running()
    shown = {name: value for name, value in state.items() if name not in _INTERNAL}
    if as_json:
        click.echo(json.dumps(shown, indent=1))
        return
    for name, value in shown.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {each}" for key, each in value.items() if each is not None)
        elif isinstance(value, list):
            value = ", ".join(value)
        if value is not None:
            click.echo(f"{name:<14} {value}")
