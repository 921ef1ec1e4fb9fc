"""Somebody deletes streams and buckets under services that run: clients fetch again, and equal SELECT."""

import asyncpg
import nats
import pytest
from nats.js.errors import NotFoundError

from medley.contracts import streams
from tests.support.library import Follower, Library, rows_of, until

_CHANGES, _SHAPES = streams.CHANGES.name, streams.SHAPES.name
_REGISTRY, _STATE = f"KV_{streams.SHAPES_BUCKET.name}", f"KV_{streams.SYNC_BUCKET.name}"
_ALL = (_CHANGES, _SHAPES, _REGISTRY, _STATE)


async def _delete(url: str, names: tuple[str, ...]) -> None:
    client = await nats.connect(url)
    try:
        for name in names:
            try:
                await client.jetstream().delete_stream(name)
            except NotFoundError:
                continue
    finally:
        await client.close()


@pytest.mark.parametrize("names", [_ALL, (_SHAPES,), (_REGISTRY,), (_CHANGES,), (_STATE,)], ids="-".join)
@pytest.mark.parametrize("where", [None, "n >= 0 AND id IN (SELECT id FROM {table})"], ids=["whole", "subquery"])
async def test_clients_equal_select_again(
    library: Library, postgres_dsn: str, names: tuple[str, ...], where: str | None
) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    table = f"public.deleted_{'_'.join(name.lower() for name in names)}_{'related' if where else 'whole'}"
    try:
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, n int)")
        await connection.execute(f"INSERT INTO {table} SELECT n, n FROM generate_series(1, 5) n")
        async with Follower(library.api, table, where=where.format(table=table) if where else None) as follower:
            await follower.reaches(await rows_of(connection, table))
            await _delete(library.nats_url, names)
            await connection.execute(f"UPDATE {table} SET n = n + 1")
            rows = await rows_of(connection, table)

            async def equal() -> bool:
                follower.check()
                return follower.copy.up_to_date and sorted(map(str, follower.copy.rows.values())) == sorted(
                    map(str, rows)
                )

            await until(equal, "the client equals SELECT")
    finally:
        await connection.close()
