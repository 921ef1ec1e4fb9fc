"""Many shapes, and Postgres deciding about many clauses."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import orjson
from nats.aio.client import Client

from medley.contracts.shapes import ClauseColumn, Column, Predicate, ShapeDefinition, ShapeRecord
from medley.runtime.postgres import open_pool
from medley.runtime.settings import PostgresSettings
from services.sync.entries import Transaction
from services.sync.live import Incoming, LiveShape
from services.sync.predicates.evaluation import Evaluation
from services.sync.predicates.tier import PostgresTier

_COLUMNS = (
    Column(name="playlist_id", type_oid=2950, not_null=True, pk_index=0),
    Column(name="song_id", type_oid=2950, not_null=True, pk_index=1),
    Column(name="metadata", type_oid=3802),
)
_SHOWN: dict[str, dict[str, Any]] = {
    "playlist_id": {"type": "uuid", "pk_index": 0, "not_null": True},
    "metadata": {"type": "jsonb"},
}
_TRANSACTIONS, _ROWS = 20, 100


def _record(number: int, where: str, param: str, predicate: Predicate, **own: Any) -> ShapeRecord:
    definition = ShapeDefinition(schema_name="public", table="playlist_songs", where=where, params=(param,))
    return ShapeRecord(
        handle=f"{definition.digest()}-{1_700_000_000_000_000 + number}",
        definition=definition,
        state="ready",
        relation_oid=1,
        publication_entry=2,
        columns=_COLUMNS,
        protocol_schema=_SHOWN,
        conditions=own.get("conditions"),
        snapshot=(700 + number, 700 + number, ()),
        changes_id="bench",
        predicate=predicate,
    )


def _column(name: str, kind: str, oid: int) -> ClauseColumn:
    return ClauseColumn(
        name=name,
        type_oid=oid,
        modifier=-1,
        type_sql=kind,
        type_name=kind,
        made_of_text=kind == "jsonb",
        deterministic=True,
    )


def listened(count: int) -> Iterator[ShapeRecord]:
    """Those of `playlist_id = $1`."""
    named = (_column("playlist_id", "uuid", 2950),)
    for number in range(count):
        one = str(uuid.UUID(int=number << 64 | 0x9E3779B97F4A7C15))
        predicate = Predicate(
            sql=f"\"playlist_id\" = '{one}'", columns=named, tier="index", index=(f"playlist_id = {one}",)
        )
        yield _record(number, "playlist_id = $1", one, predicate, conditions=(("playlist_id", "uuid", one),))


def _documents(clause: str, count: int) -> Iterator[ShapeRecord]:
    """So many clauses of a jsonb column."""
    named = (_column("metadata", "jsonb", 3802),)
    for number in range(count):
        yield _record(number, clause, str(number), Predicate(sql=clause.format(number), columns=named))


def _messages() -> list[Incoming]:
    """Transactions of many rows each."""
    columns = [[column.name, column.type_oid, column.modifier] for column in _COLUMNS]
    found = []
    for number in range(_TRANSACTIONS):
        made = [
            {"artist": f"artist {(number * _ROWS + n) % 1500}", "bpm": (number * _ROWS + n) % 900, "tags": ["a", "b"]}
            for n in range(_ROWS)
        ]
        changes = [
            {"op": "insert", "position": n, "new": {"playlist_id": str(n), "metadata": orjson.dumps(one).decode()}}
            for n, one in enumerate(made)
        ]
        found.append(Incoming(number + 1, Transaction(number, 900_000), True, 1, columns, changes))
    return found


async def _asked(dsn: str, clause: str, count: int) -> dict[str, float]:
    pool = await open_pool(PostgresSettings(dsn=dsn), "bench")  # type: ignore[arg-type]
    evaluation = Evaluation(pool, 30)
    tier = PostgresTier(evaluation)
    js = Client().jetstream()
    try:
        for record in _documents(clause, count):
            tier.add(LiveShape(js, record))
        messages = _messages()
        await tier.evaluate(messages[:1])
        before, started = evaluation.questions, time.perf_counter()
        for message in messages:  # a round of its own for each transaction
            tier.begin()
            assert await tier.evaluate([message]) == []
            for change in message.changes:
                tier.concerned(1, change["new"])
        seconds = time.perf_counter() - started
        asked = (evaluation.questions - before) / len(messages)
        return {"changes/s": _TRANSACTIONS * _ROWS / seconds, "questions a transaction": asked}
    finally:
        await evaluation.close()
        await pool.close()


async def without_index(dsn: str, count: int) -> dict[str, float]:
    """`(metadata ->> 'bpm')::numeric > $1`: Postgres is asked about every row."""
    return await _asked(dsn, "(((metadata ->> 'bpm'::text))::numeric > '{0}'::numeric)", count)


async def by_key(dsn: str, count: int) -> dict[str, float]:
    """`metadata ? $1`: the same, and less to compute."""
    return await _asked(dsn, "(metadata ? 'key {0}'::text)", count)


async def with_index(dsn: str, count: int) -> dict[str, float]:
    """`metadata @> '{"artist": …}'`: Postgres is asked about the rows that have the artist."""
    return await _asked(dsn, '(metadata @> \'{{"artist": "artist {0}"}}\'::jsonb)', count)
