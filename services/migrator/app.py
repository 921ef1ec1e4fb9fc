"""The migrator: applies what is pending, tells everybody, and ends.

The order: wait for Postgres → take the lock (one migrator at a time) → read the ledger → each file with its row in one
transaction → release the lock → put the outcome on the bus. Killed anywhere, the next run goes on where the ledger
stands; a service that is not told looks by itself (`medley.gate`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import structlog
from nats.errors import Error as NatsError

from medley.contracts.schema import SchemaState
from medley.contracts.streams import SCHEMA_BUCKET
from medley.gate import ledger as reading
from medley.gate.findings import ROLES
from medley.gate.records import Compat, Ledger
from medley.runtime import bus, postgres
from medley.runtime.errors import MedleyError, Permanent, Unavailable
from medley.runtime.process import Stopped, unless_stopped
from medley.runtime.retry import attempts
from medley.runtime.settings import NatsSettings, PostgresSettings, SchemaSettings
from services.migrator import ledger, migrations
from services.migrator.apply import Runner
from services.migrator.explain import refused
from services.migrator.migrations import Migration
from services.migrator.settings import MigrateSettings

log = structlog.get_logger()

_REASON = 4096  # characters of a failure that go onto the bus
OnApplied = Callable[[Migration, Compat], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a run is asked for. Without `nats` nobody is told."""

    postgres: PostgresSettings
    schema: SchemaSettings
    nats: NatsSettings | None
    migrate: MigrateSettings
    allow_out_of_order: bool = False


def say(migration: Migration, compat: Compat) -> None:
    """One line of the log for each migration."""
    breaks = ", ".join(role for role in ROLES if compat.of(role) == "breaking")
    log.info("applied", migration=migration.filename, **({"breaks": breaks} if breaks else {}))


async def migrate(
    dsn: PostgresSettings, nats: NatsSettings | None, schema: SchemaSettings, on_applied: OnApplied = say
) -> SchemaState:
    """Apply everything pending and publish the result. Raises Permanent when a migration is refused or fails."""
    return await run(Wishes(dsn, schema, nats, MigrateSettings()), on_applied)


async def run(wishes: Wishes, on_applied: OnApplied = say) -> SchemaState:
    """The same as it was wished."""
    files = migrations.read(wishes.schema.dir)
    failure: MedleyError | None = None
    try:
        found = await _applied(wishes, files, on_applied)
    except Permanent as error:
        failure, found = error, await _as_it_is(wishes.postgres)
    state = SchemaState(
        verdict="failed" if failure else "compatible",
        applied=found.names,
        fingerprint=found.fingerprint,
        history=found.history,
        reason=str(failure)[:_REASON] if failure else None,
        published_at=datetime.now(UTC),
    )
    if wishes.nats is not None:
        await _tell(wishes.nats, state, failure)
    if failure:
        raise failure
    return state


async def _tell(nats: NatsSettings, state: SchemaState, failure: MedleyError | None) -> None:
    """Put the outcome on the bus. A bus that does not take it never hides what the run itself said."""
    try:
        await _publish(nats, state)
    except (MedleyError, NatsError, TimeoutError, OSError) as error:
        if failure is None:
            raise Unavailable(
                f"the schema is as it should be, and nobody was told: {error or type(error).__name__}. Services see it "
                "within SCHEMA_RECHECK_SECONDS; mend the bus"
            ) from error
        log.warning("nobody was told", reason=str(error) or type(error).__name__)


async def _applied(wishes: Wishes, files: Sequence[Migration], on_applied: OnApplied) -> Ledger:
    """One run, begun again when the server goes away under it: the ledger knows what was done."""
    last: Exception | None = None
    async for number in attempts(wishes.postgres.wait_seconds):
        try:
            async with locked_session(wishes.postgres) as connection:
                return await Runner(connection, wishes.migrate, on_applied).run(files, wishes.allow_out_of_order)
        except (
            asyncpg.InsufficientPrivilegeError,
            asyncpg.ReadOnlySQLTransactionError,
            asyncpg.DiskFullError,
        ) as error:
            raise Permanent(refused(error, "the ledger cannot be written")) from error
        except (
            OSError,
            TimeoutError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            *postgres.SESSION_GONE,
        ) as error:
            last = error
            log.warning("lost Postgres, beginning again", attempt=number, reason=str(error) or type(error).__name__)
        except asyncpg.PostgresError as error:
            raise Permanent(refused(error, "the ledger cannot be used")) from error
    raise Unavailable(f"Postgres went away again and again ({last}); what is recorded is done. Run it again")


async def _as_it_is(dsn: PostgresSettings) -> Ledger:
    """The ledger after a failure, as far as it can be read."""
    try:
        connection = await postgres.connect(dsn.dsn.get_secret_value(), 5, "medley-migrator")
        try:
            return await reading.read(connection)
        finally:
            await connection.close()
    except (MedleyError, *postgres.FAILURES):
        return Ledger()


@asynccontextmanager
async def locked_session(dsn: PostgresSettings) -> AsyncIterator[asyncpg.Connection]:
    """A session of its own that holds the migrator's lock. Raises Unavailable when another holds it for too long."""
    connection = await postgres.connect(
        dsn.dsn.get_secret_value(), dsn.wait_seconds, "medley-migrator", statement_cache=0
    )
    try:
        await _lock(connection, dsn.wait_seconds)
        yield connection
        await ledger.unlock(connection)
        await connection.close()
    finally:
        connection.terminate()  # with the session goes its lock, whatever state it is in


async def _lock(connection: asyncpg.Connection, within: float) -> None:
    async for number in attempts(within, most=0.5):
        if await ledger.try_lock(connection):
            return
        if number == 1:
            log.info("another migrator is at work, waiting")
    raise Unavailable(f"another migrator held the lock for {within:g} s; see that it is alive, then run this again")


async def _publish(nats: NatsSettings, state: SchemaState) -> None:
    client = await bus.connect(nats, "migrator")
    try:
        js = client.jetstream()
        await bus.ensure(js)
        bucket = await bus.ensure_bucket(js, SCHEMA_BUCKET)
        await bucket.put("current", state.model_dump_json().encode())
        log.info("schema published", verdict=state.verdict, head=state.head)
    finally:
        await bus.close(client)


async def main(stop: asyncio.Event) -> None:
    """One run as a service of the stack."""
    await stoppable(stop, Wishes(PostgresSettings(), SchemaSettings(), NatsSettings(), MigrateSettings()))


async def stoppable(stop: asyncio.Event, wishes: Wishes, on_applied: OnApplied = say) -> SchemaState:
    """One run; a signal ends it, which is a failure: the schema is not what it should be."""
    try:
        return await unless_stopped(stop, run(wishes, on_applied))
    except Stopped:
        raise Unavailable("told to stop before the run was done; run it again") from None
