"""Applies what a plan says. A file and its row are one transaction: both or neither.

The order of a file: BEGIN → the text → the session is as it was before → what is the schema now, and whom does the
change break → the row → COMMIT. A file that says `-- migrate: no-transaction`: "started" is recorded → its statement →
the row takes the place of "started". Killed between the two, the next run asks what became of it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from medley.gate import catalogue
from medley.gate.compatibility import compare
from medley.gate.ledger import read
from medley.gate.objects import Catalogue, patched
from medley.gate.records import Compat, Ledger
from medley.runtime.errors import Incompatible, Permanent, Unavailable
from medley.runtime.postgres import SESSION_GONE
from medley.runtime.retry import attempts
from services.migrator import ledger as writing
from services.migrator.explain import explained, waiting_for
from services.migrator.migrations import Migration
from services.migrator.plan import ahead_of, breaking, plan
from services.migrator.settings import MigrateSettings
from services.migrator.sql.directives import Script, read_script

log = structlog.get_logger()

# Statements that leave their traces in the catalogue, or none; a CALL that commits as it goes leaves rows.
_CATALOGUE_ONLY = {"CREATE", "DROP", "ALTER", "REINDEX", "VACUUM", "CLUSTER", "ANALYZE", "REFRESH"}
_AGAIN = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_LEAVE_NO_TRACE = "SET CONSTRAINTS ALL IMMEDIATE; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL"


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands: the ledger, and the live schema (which has what no migration made, too)."""

    ledger: Ledger
    live: Catalogue

    @property
    def expected(self) -> Catalogue:
        """What the schema is meant to be. An empty history means an empty schema; where a history is there and what it
        made was never kept, the schema as it is."""
        return self.ledger.recorded or (self.live if self.ledger.applied else Catalogue(()))


@dataclass(frozen=True, slots=True)
class Step:
    """One migration of a run."""

    migration: Migration
    script: Script
    remark: str | None


Apply = Callable[[Step, State], Awaitable[State]]


@dataclass(frozen=True, slots=True)
class Runner:
    """One run on a session that holds the lock."""

    connection: asyncpg.Connection
    settings: MigrateSettings
    on_applied: Callable[[Migration, Compat], None] = lambda migration, compat: None

    async def run(self, files: Sequence[Migration], allow_out_of_order: bool = False) -> Ledger:
        """Everything pending, in order. Raises Permanent, with all refusals or with what failed and where."""
        await writing.prepare(self.connection)
        live = await catalogue.read(self.connection)
        ledger = await writing.complete(self.connection, await read(self.connection), files, live)
        planned = plan(files, ledger, allow_out_of_order)
        scripts = {migration.filename: read_script(migration.filename, migration.text) for migration in planned.pending}
        refusals = [*planned.refusals, *(str(fault) for script in scripts.values() for fault in script.faults)]
        if refusals:
            raise Permanent("\n".join(refusals))
        if ledger.applied and ledger.recorded is None and planned.pending:
            log.warning("the schema is not what its history makes, and what that was is not kept: it is taken as it is")
        if planned.ahead and breaking(ledger, planned.ahead):
            raise Incompatible(ahead_of(ledger, planned.ahead))
        if planned.ahead:
            log.warning(ahead_of(ledger, planned.ahead))
        await self._warn_of_invalid_indexes()
        state = State(ledger, live)
        for migration in planned.pending:
            remark = "out of order" if migration.filename in planned.out_of_order else None
            step = Step(migration, scripts[migration.filename], remark)
            state = await self._patiently(self._alone if step.script.no_transaction else self._whole, step, state)
        return state.ledger

    async def _patiently(self, apply: Apply, step: Step, state: State) -> State:
        """Again and again while a table is locked: each try is short, since everybody queues behind it."""
        failure: asyncpg.PostgresError | None = None
        async for number in attempts(self.settings.lock_wait_seconds, first=0.1, most=5):
            if not await writing.holds_lock(self.connection):
                raise Permanent(
                    "this session does not hold the migrator's lock any more; needed: one session for the whole run. "
                    "Point POSTGRES_DSN at Postgres itself, or at a pooler in session mode"
                )
            try:
                return await apply(step, state)
            except _AGAIN as error:
                failure = error
                log.warning(
                    "not now, trying again", migration=step.migration.filename, attempt=number, reason=str(error)
                )
        raise Unavailable(
            f"{step.migration.filename}: {failure} (tried for {self.settings.lock_wait_seconds:g} s); nothing of it "
            f"was applied. {await waiting_for(self.connection)}"
        ) from failure

    async def _whole(self, step: Step, state: State) -> State:
        connection, running = self.connection, None
        try:
            async with connection.transaction():
                await self._timeouts()
                for statement in step.script.statements:
                    running = statement
                    await connection.execute(statement.text)
                running = None
                await connection.execute(_LEAVE_NO_TRACE)
                after = await self._record(step, state)
        except (*_AGAIN, *SESSION_GONE):
            raise
        except asyncpg.PostgresError as error:
            raise Permanent(explained(step.script, running, error) + "; nothing of it was applied") from error
        self._told(step, after)
        await connection.execute("DISCARD TEMP")
        return after

    async def _alone(self, step: Step, state: State) -> State:
        connection = self.connection
        await writing.start(connection, step.migration, state.live)
        try:
            # No lock_timeout: CREATE INDEX CONCURRENTLY waits for others' transactions, and nobody waits for it.
            await connection.execute(f"SET statement_timeout = {self._milliseconds()}")
            await connection.execute(step.script.statements[0].text)
        except SESSION_GONE:
            raise
        except asyncpg.PostgresError as error:
            await connection.execute("RESET ALL")
            raise await self._failed_alone(step, state, error) from error
        await connection.execute("RESET ALL")
        async with connection.transaction():
            await writing.end(connection, step.migration.filename)
            after = await self._record(step, state)
        self._told(step, after)
        return after

    async def _record(self, step: Step, state: State) -> State:
        """The row, with what the schema is now and whom the change breaks."""
        live = await catalogue.read(self.connection)
        compat = Compat(tuple(compare(state.live, live)), accepted(step.script))
        expected = patched(state.expected, state.live, live)
        ledger = await writing.record(self.connection, step.migration, state.ledger, expected, compat, step.remark)
        return State(ledger, live)

    def _told(self, step: Step, after: State) -> None:
        self.on_applied(step.migration, after.ledger.applied[-1].compat or Compat())

    async def _failed_alone(self, step: Step, state: State, error: asyncpg.PostgresError) -> Exception:
        """It failed, and we know: when it left nothing behind, it was never started. Else a person decides."""
        live = await catalogue.read(self.connection)
        if live.fingerprint == state.live.fingerprint and step.script.statements[0].words(1)[0] in _CATALOGUE_ONLY:
            await writing.end(self.connection, step.migration.filename)
            if isinstance(error, _AGAIN):
                return error
            return Permanent(explained(step.script, step.script.statements[0], error) + "; nothing of it was applied")
        left = [entry.title for entry in live.entries if state.live.by_key.get(entry.key) != entry]
        return Permanent(
            f"{explained(step.script, step.script.statements[0], error)}; it ran alone, and may have left "
            f"{', '.join(left) or 'rows'}. Look, mend that, then `medley migrate resolve {step.migration.filename} "
            "--retry`, or `--applied`"
        )

    async def _timeouts(self) -> None:
        await self.connection.execute("DEALLOCATE ALL")  # what the file before, or a try before, has prepared
        if self.connection.get_server_version().major >= 17:
            await self.connection.execute("SET LOCAL transaction_timeout = 0")
        await self.connection.execute(
            f"SET LOCAL lock_timeout = {round(self.settings.lock_timeout_seconds * 1000)}; "
            f"SET LOCAL statement_timeout = {self._milliseconds()}"
        )

    def _milliseconds(self) -> int:
        return round(self.settings.statement_timeout_seconds * 1000)

    async def _warn_of_invalid_indexes(self) -> None:
        for row in await writing.invalid_indexes(self.connection):
            log.warning(invalid_index(row["index"], row["table"], row["running"]))


def invalid_index(index: str, table: str, running: bool) -> str:
    """What an INVALID index is, and what to do about it."""
    if running:
        return f"index {index} of {table} is being built by another session; wait for it"
    return (
        f"index {index} of {table} is INVALID: a CREATE INDEX CONCURRENTLY failed; writes pay for it and no query uses "
        f"it. DROP INDEX CONCURRENTLY {index}, or REINDEX INDEX CONCURRENTLY {index}"
    )


def accepted(script: Script) -> tuple[tuple[str, str], ...]:
    return tuple((accept.kind, accept.reason) for accept in script.accepts)
