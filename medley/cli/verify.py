"""`medley verify`: Postgres, the streams, the blobs and a client's copy are equal, or where they are not."""

import asyncio
import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from medley.cli.home import Home
from medley.cli.options import home_option, json_option
from medley.cli.settings import CliSettings
from medley.runtime.errors import MedleyError, Unavailable
from medley.runtime.settings import NatsSettings, S3Settings
from medley.verify.checkpoint import Checkpoint
from medley.verify.findings import Finding
from medley.verify.verification import Report, Servers, Wishes
from medley.verify.verification import verify as verification

_WAIT_SECONDS = 5.0
_USAGE = 2


@click.command()
@home_option
@json_option
@click.option("--shapes", is_flag=True, help="Every shape against its table.")
@click.option("--changes", is_flag=True, help="The newest messages of CHANGES, and the replication slot.")
@click.option("--blobs", is_flag=True, help="Every blob's bytes against its row, and objects that no row names.")
@click.option("--shape", "handle", metavar="HANDLE", help="This shape only.")
@click.option("--table", metavar="NAME", help="Shapes of this table only; with --copy, the copy's table.")
@click.option("--copy", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A client's rows, as JSON.")
@click.option("--where", metavar="SQL", help="With --copy: the rows that it should have.")
@click.option("--rate", type=click.FloatRange(0), default=0, metavar="N", help="At most N rows a second (0: no limit).")
@click.option(
    "--blob-rate", type=click.FloatRange(0), default=32, show_default=True, metavar="MIB", help="MiB a second."
)
@click.option(
    "--state", type=click.Path(dir_okay=False, path_type=Path), help="File to go on from when it was stopped."
)
@click.option("--repair", is_flag=True, help="Have differing shapes made anew, and damaged blobs taken in again.")
def verify(
    home: Path,
    as_json: bool,
    shapes: bool,
    changes: bool,
    blobs: bool,
    handle: str | None,
    table: str | None,
    copy: Path | None,
    where: str | None,
    rate: float,
    blob_rate: float,
    state: Path | None,
    repair: bool,
) -> None:
    """Compare Postgres with shapes, CHANGES and blobs, or with a client's --copy, and say where they differ.

    Safe while everything runs. Without a choice of parts it looks at shapes, CHANGES and blobs. Exit code 0: all is
    equal, 1: something differs, 2: it cannot be asked so, 6: a server does not answer.
    """
    if copy is not None and table is None:
        raise click.UsageError("--copy needs --table NAME")
    if where is not None and copy is None:
        raise click.UsageError("--where goes with --copy")
    shapes = shapes or handle is not None or (table is not None and copy is None)
    if not (shapes or changes or blobs or copy):
        shapes = changes = blobs = True
    mib = 1024 * 1024
    wishes = Wishes(shapes, changes, blobs, handle, table, copy, where, rate, blob_rate * mib, repair)
    watching = Watching(Console(stderr=True), as_json)
    try:
        with watching.progress:
            report = asyncio.run(verification(_servers(home), wishes, Checkpoint(state), watching))
    except MedleyError as error:
        click.echo(f"medley: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, Unavailable) else _USAGE)
    except KeyboardInterrupt:
        click.echo(f"stopped{f'; --state {state} goes on from here' if state else ''}", err=True)
        sys.exit(130)
    click.echo(json.dumps(_as_json(report), indent=1) if as_json else "\n".join(summary(report)))
    sys.exit(1 if report.findings else 0)


class Watching:
    """A bar where there is a terminal, and each difference as it is found."""

    def __init__(self, console: Console, as_json: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._quiet = as_json
        self._bar: TaskID | None = None

    def part(self, name: str, total: int | None) -> None:
        if self._bar is not None:
            self.progress.remove_task(self._bar)
        self._bar = self.progress.add_task(name, total=total)

    def step(self, amount: int) -> None:
        if self._bar is not None:
            self.progress.advance(self._bar, amount)

    def differs(self, finding: Finding) -> None:
        if not self._quiet:
            click.echo(finding.line())


def _servers(home: Path) -> Servers:
    """From the environment where Postgres and the bus are both in it, else the running home's. Raises
    ConfigurationError."""
    settings = CliSettings()
    if settings.postgres_dsn and settings.nats_url:
        dsn, nats, s3 = settings.postgres_dsn.get_secret_value(), settings.nats_url.get_secret_value(), S3Settings()
    else:
        state = Home(home).running()
        dsn, nats = state["postgres"], state["nats"]
        found = {name: state.get(f"s3_{name}") for name in ("access_key", "secret_key", "bucket")} | {
            "endpoint": state.get("s3") or ""
        }
        s3 = S3Settings.model_validate({name: value for name, value in found.items() if value is not None})
    return Servers(
        dsn, NatsSettings.model_validate({"url": nats, "wait_seconds": _WAIT_SECONDS}), s3, settings.sync_slot
    )


def _as_json(report: Report) -> dict[str, object]:
    return {
        "equal": not report.findings,
        "findings": [finding.as_json() for finding in report.findings],
        "counts": report.counts,
        "notes": report.notes,
        "repaired": report.repaired,
    }


def summary(report: Report) -> list[str]:
    """The last lines: what was repaired, what was looked at, and the verdict. Pure."""
    looked = ", ".join(f"{number} {name}" for name, number in report.counts.items()) or "nothing"
    lines = [f"repair: {line}" for line in report.repaired]
    if "retained_bytes" in report.notes:
        held = report.notes["retained_bytes"] / 1024**2
        idle = "" if report.notes["active"] else ", and nobody reads from it"
        lines.append(f"slot {report.notes['slot']}: keeps {held:.1f} MiB of Postgres's log{idle}")
    verdict = f"{len(report.findings)} differ" if report.findings else "all equal"
    return [*lines, f"looked at {looked}: {verdict}"]
