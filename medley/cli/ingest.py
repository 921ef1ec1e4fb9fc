"""`medley ingest`: publish a job for each file and show what becomes of it."""

import asyncio
import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from medley.cli import addresses, jobs
from medley.cli.lending import Inbox
from medley.cli.options import api_option, home_option, json_option, nats_option
from medley.client.http import follow, http_client
from medley.runtime import bus


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE|FOLDER..."
)
@home_option
@api_option
@nats_option
@click.option("--no-wait", is_flag=True, help="Publish the jobs and do not follow them.")
@json_option
def ingest(
    paths: tuple[Path, ...], home: Path, api_url: str | None, nats_url: str | None, no_wait: bool, as_json: bool
) -> None:
    """Put files into the library.

    Each file becomes a job that names its path, and a worker opens it. A file outside of the folders that workers may
    open (`medley up --allow DIR`) is lent to those of the running home; workers elsewhere must be allowed its folder
    (INGEST_ALLOWED_FOLDERS). Exit code 1 when any job failed.
    """
    where = addresses.find(home, api_url, nats_url)
    inbox = None if api_url or nats_url else Inbox.of(home)
    outcomes = jobs.Outcomes(lender=inbox)
    files = list(jobs.files(paths))
    asked = [jobs.job_for(path, inbox) for path in files]
    outcomes.expect(asked)
    console = Console(stderr=as_json)
    try:
        asyncio.run(_run(where, outcomes, console, wait=not no_wait))
    except KeyboardInterrupt:
        left = len(asked) - len(outcomes.ended())
        click.echo(f"stopped watching; {left} of {len(asked)} jobs go on without us", err=True)
        sys.exit(130)
    _report(outcomes, files, console, as_json)
    sys.exit(1 if outcomes.failed() else 0)


async def _run(where: addresses.Addresses, outcomes: jobs.Outcomes, console: Console, wait: bool) -> None:
    client = await addresses.bus_client(where.nats)
    try:
        await jobs.publish(client.jetstream(), list(outcomes.jobs.values()))
    finally:
        await bus.close(client)
    if wait and outcomes.jobs:
        await _follow(where, outcomes, console)


async def _follow(where: addresses.Addresses, outcomes: jobs.Outcomes, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("ingesting", total=len(outcomes.jobs))
        async with http_client(where.api) as http:
            messages = follow(where.api, jobs.TABLE, columns=jobs.COLUMNS, secret=where.secret, client=http)
            async for batch in messages:
                outcomes.apply(batch)
                progress.update(bar, completed=len(outcomes.ended()))
                if len(outcomes.ended()) == len(outcomes.jobs):
                    return


def _report(outcomes: jobs.Outcomes, files: list[Path], console: Console, as_json: bool) -> None:
    rows = outcomes.rows()
    listed = [
        {
            "job_id": job_id,
            "file": str(path),
            **{name: rows.get(job_id, {}).get(name) for name in ("state", "error", "blob_id", "song_id")},
        }
        for job_id, path in zip(outcomes.jobs, files, strict=True)
    ]
    if as_json:
        click.echo(json.dumps(listed, indent=1))
        return
    failed = outcomes.failed()
    console.print(
        f"{len(outcomes.jobs)} published, {len(outcomes.ended()) - len(failed)} done, {len(failed)} failed",
        highlight=False,
    )
    if failed:
        table = Table("file", "why it failed", box=None)
        for job_id, row in failed.items():
            table.add_row(outcomes.jobs[job_id].filename, row["error"])
        console.print(table)
