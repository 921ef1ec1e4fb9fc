"""The migrator: applies what is pending, publishes the verdict, and ends.

The order: wait for Postgres and the bus → take the lock (one migrator at a time) → read the ledger again →
each file with its row in one transaction → publish the verdict → release the lock. Killed anywhere, the next run
goes on where the ledger stands.
"""

import asyncio
from datetime import UTC, datetime

import asyncpg
import structlog
from nats.aio.client import Client

from medley.contracts.schema import SchemaState
from medley.contracts.streams import SCHEMA_BUCKET
from medley.runtime import bus, postgres
from medley.runtime.errors import Permanent, Unavailable
from medley.runtime.process import Stopped, unless_stopped
from medley.runtime.retry import attempts
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.migrator import ledger, migrations

log = structlog.get_logger()


async def migrate(dsn: PostgresSettings, nats: NatsSettings, schema: SchemaSettings) -> SchemaState:
    """Apply everything pending and publish the result. Raises Permanent when a migration is refused or fails."""
    files = migrations.read(schema.dir)
    connection = await postgres.connect(dsn.dsn.get_secret_value(), dsn.wait_seconds, "medley-migrator")
    try:
        client = await bus.connect(nats, "migrator")
        try:
            await _locked(connection, dsn.wait_seconds)
            try:
                state = await _run(connection, files)
                await _publish(client, state)
            finally:
                await ledger.unlock(connection)
        finally:
            await bus.close(client)
    finally:
        await connection.close()
    if state.verdict == "failed":
        raise Permanent(state.reason or "a migration failed")
    return state


async def _locked(connection: asyncpg.Connection, within: float) -> None:
    async for number in attempts(within, most=0.5):
        if await ledger.try_lock(connection):
            return
        if number == 1:
            log.info("another migrator is at work, waiting")
    raise Unavailable(f"another migrator held the lock for {within:g} s; see that it is alive, then run this again")


async def _run(connection: asyncpg.Connection, files: list[migrations.Migration]) -> SchemaState:
    await ledger.create(connection)
    applied = await ledger.applied(connection)
    failure: str | None = None
    try:
        for migration in migrations.plan(files, applied):
            try:
                await ledger.apply(connection, migration)
            except asyncpg.PostgresError as error:
                raise Permanent(f"{migration.filename}: {error}; nothing of it was applied") from error
            log.info("applied", migration=migration.filename)
    except Permanent as error:
        failure = str(error)
    return SchemaState(
        verdict="failed" if failure else "compatible",
        applied=tuple(await ledger.applied(connection)),
        reason=failure,
        published_at=datetime.now(UTC),
    )


async def _publish(client: Client, state: SchemaState) -> None:
    js = client.jetstream()
    await bus.ensure(js)
    bucket = await bus.ensure_bucket(js, SCHEMA_BUCKET)
    await bucket.put("current", state.model_dump_json().encode())
    log.info("schema published", verdict=state.verdict, head=state.head)


async def main(stop: asyncio.Event) -> None:
    """One run; a signal ends it, which is a failure: the schema is not what it should be."""
    try:
        await unless_stopped(stop, migrate(PostgresSettings(), NatsSettings(), SchemaSettings()))
    except Stopped:
        raise Unavailable("told to stop before the run was done; run it again") from None
