"""`medley tail --explain`: how the changes of a table find a shape."""

from collections.abc import Sequence

import click
from nats.js.errors import NotFoundError

from medley.cli import addresses
from medley.client.http import ShapeRefused, http_client
from medley.contracts import streams
from medley.contracts.shapes import ShapeRecord
from medley.runtime.errors import Unavailable

_WAYS = {
    "whole": "every change of the table belongs to it",
    "index": "a hash look-up finds it by these values",
    "python": "look-ups find it by these values, ranges or prefixes, any line of them",
    "postgres": "Postgres decides, in one question for all shapes of the table and all changes of a moment",
    "constant": "the clause is the same for every row",
}


async def explain(
    found: addresses.Addresses, table: str, where: str | None, params: Sequence[str], columns: Sequence[str] | None
) -> None:
    """Open the shape, or find it, and print what the registry says of it. Raises ShapeRefused, Unavailable."""
    handle = await _handle(found, table, where, params, columns)
    client = await addresses.bus_client(found.nats)
    try:
        bucket = await client.jetstream().key_value(streams.SHAPES_BUCKET.name)
        record = ShapeRecord.model_validate_json((await bucket.get(handle)).value or b"")
    except NotFoundError as error:
        raise Unavailable(f"the shape {handle} is gone again; try again") from error
    finally:
        await client.close()
    for line in explained(record):
        click.echo(line)


async def _handle(
    found: addresses.Addresses, table: str, where: str | None, params: Sequence[str], columns: Sequence[str] | None
) -> str:
    query = {"table": table, "offset": "now", **{f"params[{number}]": text for number, text in enumerate(params, 1)}}
    query |= {"where": where} if where else {}
    query |= {"columns": ",".join('"' + name.replace('"', '""') + '"' for name in columns)} if columns else {}
    query |= {"secret": found.secret} if found.secret else {}
    async with http_client(found.api) as http:
        answer = await http.get(f"{found.api.rstrip('/')}/v1/shape", params=query)
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Unavailable(f"the API answers {answer.status_code}; try again")
    if answer.status_code != 200:
        raise ShapeRefused(answer.status_code, answer.json())
    return str(answer.headers["electric-handle"])


def explained(record: ShapeRecord) -> list[str]:
    """What a person wants to know of it, line by line. Pure."""
    definition, predicate = record.definition, record.predicate
    lines = [f"shape   {record.handle}", f"table   {definition.schema_name}.{definition.table}"]
    if predicate is None:
        return [*lines, f"tier    {'index' if record.conditions else 'whole'}"]
    lines += [f"clause  {' '.join(predicate.sql.split())}", f"tier    {predicate.tier}: {_WAYS[predicate.tier]}"]
    lines += [f"reads   {table.schema_name}.{table.name}" for table in predicate.tables]
    if predicate.index:
        lead = "asked about rows with" if predicate.tier == "postgres" else "index"
        lines += [f"{lead}  {line}" for line in predicate.index]
    elif predicate.tier == "postgres":
        lines.append("index   none: it is asked about every row")
    if predicate.objects:
        lines.append(f"ends when one of these is altered: {', '.join(f'{o.kind} {o.oid}' for o in predicate.objects)}")
    return lines
