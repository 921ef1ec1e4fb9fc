"""`medley tail`: follow a table, or a subject of the bus, and print each change."""

import asyncio
import json
import select
import sys
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from medley.cli import addresses
from medley.cli.explain import explain
from medley.cli.options import api_option, home_option, json_option, nats_option
from medley.client.http import Message, ShapeRefused, follow, http_client
from medley.runtime.errors import Permanent


@click.command()
@click.argument("table", required=False)
@click.option("--topic", metavar="SUBJECT", help="Follow a subject of the bus instead, e.g. changes.public.songs.")
@click.option("--where", metavar="SQL", help="Only rows for which this is true; $1, $2, … stand for --param.")
@click.option("--param", "params", multiple=True, metavar="VALUE", help="The next parameter of --where; repeatable.")
@click.option("--columns", metavar="A,B", help="Only these columns; the primary key must be among them.")
@click.option("--explain", "explaining", is_flag=True, help="Print how changes find the shape, and end.")
@click.option("--once", is_flag=True, help="End when everything that is there now was printed.")
@home_option
@api_option
@nats_option
@json_option
def tail(
    table: str | None,
    topic: str | None,
    where: str | None,
    params: tuple[str, ...],
    columns: str | None,
    explaining: bool,
    once: bool,
    home: Path,
    api_url: str | None,
    nats_url: str | None,
    as_json: bool,
) -> None:
    """Follow TABLE (any table of the database): its rows first, then each change as it happens. Ctrl-C ends it."""
    if (table is None) == (topic is None):
        raise click.UsageError("give either TABLE or --topic SUBJECT")
    found = addresses.find(home, api_url, nats_url)
    try:
        if topic is not None:
            asyncio.run(_while_read(_topic(found, topic)))
        elif table is not None:
            names = columns.split(",") if columns else None
            if explaining:
                return asyncio.run(explain(found, table, where, params, names))
            asyncio.run(_while_read(_shape(found, table, where, params, names, once, as_json)))
    except KeyboardInterrupt:
        sys.exit(130)
    except ShapeRefused as refused:
        raise Permanent(f"the API refuses this: {refused}") from refused


async def _while_read(work: Coroutine[Any, Any, None]) -> None:
    """Until it is done, or nobody reads our output any more: `medley tail songs | head` ends although no row comes."""
    task = asyncio.ensure_future(work)
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # errors only: the other end of a pipe is closed
    while not task.done():
        await asyncio.wait({task}, timeout=0.5)
        if any(events & select.POLLERR for _, events in poll.poll(0)):
            task.cancel()
            return
    task.result()


async def _topic(found: addresses.Addresses, topic: str) -> None:
    client = await addresses.bus_client(found.nats)
    subscription = await client.subscribe(topic)
    async for message in subscription.messages:
        click.echo(message.data.decode(errors="replace"))


async def _shape(
    found: addresses.Addresses,
    table: str,
    where: str | None,
    params: tuple[str, ...],
    columns: list[str] | None,
    once: bool,
    as_json: bool,
) -> None:
    async with http_client(found.api) as http:
        messages = follow(
            found.api, table, where=where, params=params, columns=columns, secret=found.secret, client=http
        )
        async for batch in messages:
            for message in batch:
                line = json.dumps(message, ensure_ascii=False) if as_json else human(message)
                if line:
                    click.echo(line)
            if once and any(message["headers"].get("control") == "up-to-date" for message in batch):
                return


def human(message: Message) -> str:
    """A change in one line; nothing for a control message that only concerns programs."""
    headers = message["headers"]
    if "operation" not in headers:
        return "-- the shape was made anew; its rows follow" if headers.get("control") == "must-refetch" else ""
    values = " ".join(f"{name}={_short(value)}" for name, value in message.get("value", {}).items())
    return f"{datetime.now().astimezone():%H:%M:%S.%f} {headers['operation']:<6} {message['key']} {values}"


def _short(value: str | None) -> str:
    if value is None:
        return "null"
    text = value if len(value) <= 60 else value[:59] + "…"
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
