"""`GET /metrics` of sync says what `medley tail --explain` says, and counts what Postgres was asked."""

import secrets
from pathlib import Path

from medley.cli.embedded.ports import free_port
from tests.support import web
from tests.support.databases import MakeDatabase
from tests.support.library import until
from tests.support.shapes import connected, running_sync


async def metrics(url: str) -> dict[str, float]:
    async with web.client() as http:
        answer = await http.get(url)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_shapes_by_tier_and_questions(new_database: MakeDatabase, fresh_nats_url: str, tmp_path: Path) -> None:
    port = free_port()
    dsn = await new_database()
    async with running_sync(dsn, fresh_nats_url, tmp_path, HEALTH_PORT=str(port)) as library:
        database = await library.connect()
        table = f"m_{secrets.token_hex(4)}"
        await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, n int, j jsonb)")
        url = f"http://127.0.0.1:{port}/metrics"
        async with connected(fresh_nats_url, database) as shapes:
            again = f"n NOT IN (SELECT n FROM {table} WHERE id = 3)"
            wheres = (None, "n = 1", "n = 2", "n < 5", "j ->> 'a' = 'x'", "n % 2 = 0", again)
            for where in wheres:
                await shapes.open(table, "public", where=where)
            await database.execute(f'INSERT INTO {table} SELECT g, g, \'{{"a": "x"}}\' FROM generate_series(1, 10) g')
            await shapes.caught_up()

            async def asked() -> bool:
                return (await metrics(url))["medley_sync_clause_rows_total"] >= 10

            async def kept() -> bool:
                return "medley_sync_wal_retained_bytes" in await metrics(url)

            await until(asked, "Postgres was asked about the rows")
            await until(kept, "Postgres has told of the slot")
            found = await metrics(url)
        await database.close()
    assert found["medley_sync_active"] == 1
    assert found["medley_sync_unacked_bytes"] == found["medley_sync_fanout_waiting_bytes"] == 0
    assert found["medley_sync_unacked_seconds"] == found["medley_sync_fanout_lag_seconds"] == 0
    assert found["medley_sync_capture_lag_bytes"] < 2**20 and 0 < found["medley_sync_wal_retained_bytes"] < 2**30
    assert {name: value for name, value in found.items() if name.startswith("medley_sync_shapes")} == {
        'medley_sync_shapes{tier="whole",indexed="false"}': 1,
        'medley_sync_shapes{tier="index",indexed="false"}': 2,
        'medley_sync_shapes{tier="python",indexed="false"}': 1,
        'medley_sync_shapes{tier="postgres",indexed="true"}': 1,
        'medley_sync_shapes{tier="postgres",indexed="false"}': 2,
    }
    assert 1 <= found['medley_sync_clause_questions_total{subqueries="false"}'] <= 10
    assert 1 <= found['medley_sync_clause_questions_total{subqueries="true"}'] <= 10
