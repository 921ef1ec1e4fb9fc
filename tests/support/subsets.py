"""Subset snapshots asked of a test's own database, without a bus: records made from the catalogue."""

from typing import Any

import asyncpg
import orjson

from medley.contracts.shapes import ShapeDefinition, ShapeRecord
from services.api.shape.asked import SubsetAsked
from services.api.shape.response import Response, Streamed
from services.api.shape.subset import Subsets
from services.sync.catalog import describe
from services.sync.table import protocol_schema, select_columns


async def record_of(
    connection: asyncpg.Connection,
    table: str,
    conditions: tuple[tuple[str, str, str], ...] | None = None,
    schema: str = "public",
    **definition: Any,
) -> ShapeRecord:
    """The record of a shape as sync would make it."""
    wanted = ShapeDefinition(schema_name=schema, table=table, **definition)
    found = await describe(connection, schema, table, "medley")
    columns = select_columns(found, wanted)
    return ShapeRecord(
        handle="1-1",
        definition=wanted,
        state="ready",
        relation_oid=found.oid,
        publication_entry=1,
        columns=tuple(facts.column for facts in columns),
        protocol_schema=protocol_schema(columns),
        conditions=conditions,
        snapshot=(1, 1, ()),
        changes_id="c",
    )


async def body_of(answer: Streamed | Response) -> bytes:
    """The whole body of a 200."""
    assert isinstance(answer, Streamed), answer.body
    assert answer.status == 200
    body = b"".join([piece async for piece in answer.body])
    assert dict(answer.headers)[b"content-length"] == str(len(body)).encode()
    return body


async def rows(
    subsets: Subsets, record: ShapeRecord, where: str | None = None, *params: str, **asked: Any
) -> list[Any]:
    """The values of the rows that are answered."""
    answer = await subsets.answer(record, SubsetAsked(where, params, **asked))
    return [item["value"] for item in orjson.loads(await body_of(answer))["data"]]


async def refusal(
    subsets: Subsets, record: ShapeRecord, where: str | None = None, *params: str, **asked: Any
) -> dict[str, list[str]]:
    """What a refused request is told, by field."""
    answer = await subsets.answer(record, SubsetAsked(where, params, **asked))
    assert isinstance(answer, Response), await body_of(answer)
    assert answer.status == 400
    said = orjson.loads(answer.body)
    assert said["message"] == "Invalid request"
    found: dict[str, list[str]] = said["errors"]["subset"]
    return found
