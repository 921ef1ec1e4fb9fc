"""What an operator set for the database, or for a role, reaches neither the values of shapes nor their snapshots."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.support.shapes import Shapes, connected, running_sync

LIMITS = {"statement_timeout": "400ms", "idle_in_transaction_session_timeout": "30s"}
FORMS = {
    "DateStyle": "SQL, MDY",
    "TimeZone": "Asia/Tokyo",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-5",
    "standard_conforming_strings": "off",
    "client_encoding": "latin1",
    "default_transaction_isolation": "serializable",
}
# A clause that takes 100 ms for each row, and says to Postgres that it does nothing of the kind.
SLOW = """
    CREATE FUNCTION slow(id int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.1); RETURN true; END';
    CREATE TABLE many (id int PRIMARY KEY);
    INSERT INTO many SELECT generate_series(1, 10)
"""
ROW = "(1, '2026-01-31', '2026-01-31 12:00:00+00', '1 year 2 days', '\\x00ff', 0.1::float8 + 0.2, 'ü\\')"
TEXTS = {
    "id": "1",
    "d": "2026-01-31",
    "t": "2026-01-31 12:00:00+00",
    "i": "P1Y2D",
    "b": "\\x00ff",
    "f": "0.30000000000000004",
    "s": "ü\\",
}


@pytest_asyncio.fixture(scope="module")
async def shapes(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shapes]:
    """Of a sync that was started on a database with settings of its own."""
    owner = await asyncpg.connect(postgres_dsn)
    try:
        name = await owner.fetchval("SELECT quote_ident(current_database())")
        limits = LIMITS | ({"transaction_timeout": "600ms"} if owner.get_server_version().major >= 17 else {})
        async with running_sync(postgres_dsn, fresh_nats_url, tmp_path_factory.mktemp("sync")) as sync:
            await owner.execute(SLOW)
            await owner.execute(
                "CREATE TABLE texts (id int, d date, t timestamptz, i interval, b bytea, f float8, s text)"
            )
            await owner.execute(f"INSERT INTO texts VALUES {ROW}")
            for setting, value in (limits | FORMS).items():
                await owner.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
            await sync.kill("sync")
            await sync.start("sync")
            async with connected(sync.nats_url, owner) as found:
                yield found
    finally:
        await owner.close()


async def test_a_snapshot_that_takes_longer_than_a_statement_may(shapes: Shapes) -> None:
    shape = await shapes.open("many", where="slow(id)")
    assert len(await shape.snapshot()) == 10


async def test_values_are_written_as_ever(shapes: Shapes) -> None:
    shape = await shapes.open("texts")
    assert [message["value"] for message in await shape.snapshot()] == [TEXTS]
    await shapes.database.execute(f"INSERT INTO texts VALUES {ROW.replace('(1', '(2')}")
    await shapes.caught_up()
    assert [message["value"] for message in await shape.log()] == [{**TEXTS, "id": "2"}]
