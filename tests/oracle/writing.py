"""The transactions of one batch: by one writer, each followed by what SELECT says of it, or by several at once.

A commit that waits for a standby that there is not is in the log already, and nobody sees it until that wait ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import asyncpg

from tests.oracle.boundaries import Commit
from tests.oracle.model import Scenario, Statement, Transaction
from tests.oracle.outcomes import Tally
from tests.support.standby import WAITS

Connect = Callable[[], Awaitable[asyncpg.Connection]]
_LATE_SECONDS = 0.3  # others may wait for what a late transaction has locked
_PATIENCE = 0.5


async def holds(condition: Callable[[], Awaitable[bool]], patience: float = _PATIENCE) -> bool:
    """Wait for it, but not for ever."""
    deadline = time.monotonic() + patience
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.002)
    return True


async def written(session: asyncpg.Connection) -> int:
    """Where the write-ahead log ends that is on disk."""
    return int(await session.fetchval("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"))


class Writing:
    """`commits` are in order when there is one writer. `tell` adds what SELECT says after one; `sent` waits until
    followers have everything. `hides`: commits can be late."""

    def __init__(
        self,
        scenario: Scenario,
        schema: str,
        connect: Connect,
        tally: Tally,
        tell: Callable[[Commit], Awaitable[None]] | None,
        sent: Callable[[], Awaitable[None]],
        *,
        hides: bool,
    ) -> None:
        self._scenario, self._schema = scenario, schema
        self._connect, self._tally = connect, tally
        self._tell, self._sent, self._hides = tell, sent, hides
        self._sessions: dict[int, asyncpg.Connection] = {}
        self.commits: list[Commit] = []
        self.tells = tell is not None

    async def all(self, batch: Iterable[Transaction]) -> None:
        """Writers write at once, each one's transactions in their order."""
        by_writer: dict[int, list[Transaction]] = {}
        for transaction in batch:
            by_writer.setdefault(transaction.writer, []).append(transaction)
        told = len(by_writer) == 1
        async with asyncio.TaskGroup() as group:
            for transactions in by_writer.values():
                group.create_task(self._writer(transactions, told))

    async def begin(self, batch: Iterable[Transaction]) -> None:
        """Sessions for its writers, that have looked up what they must know of the tables."""
        for writer in {one.writer for one in batch}:
            self._sessions[writer] = await self._connect()
            await self._look_up(self._sessions[writer])

    async def _look_up(self, session: asyncpg.Connection) -> None:
        for table in self._scenario.tables:
            column = table.columns[0].sql
            await session.execute(f"UPDATE {table.sql(self._schema)} SET {column} = {column} WHERE false")

    async def _writer(self, transactions: list[Transaction], told: bool) -> None:
        session = self._sessions.pop(transactions[0].writer, None) or await self._connect()
        watcher = await self._connect() if any(one.late for one in transactions) else None
        try:
            for transaction in transactions:
                if transaction.late and watcher is not None and self._hides:
                    await self._late(session, watcher, transaction)
                else:
                    await self._one(session, transaction, told)
                if transaction.paced:
                    await self._sent()
        finally:
            for one in (session, watcher):
                if one is not None:
                    await one.close()

    async def _one(self, session: asyncpg.Connection, transaction: Transaction, told: bool) -> None:
        commit = await self._write(session, transaction)
        if commit is not None and told and self._tell is not None:
            await self._tell(commit)

    async def _late(self, session: asyncpg.Connection, watcher: asyncpg.Connection, transaction: Transaction) -> None:
        """Others commit while it is in the log and not seen."""
        task = await self._hide(session, watcher, transaction)
        seen = len(self.commits)

        async def overtaken() -> bool:
            return task.done() or len(self.commits) > seen

        await holds(overtaken, _LATE_SECONDS)
        await self._show(session, watcher, task)

    @asynccontextmanager
    async def overtaking(self, two: Sequence[Transaction]) -> AsyncIterator[None]:
        """Of two transactions the second one is seen, and the first one only afterwards; it was committed before."""
        if len(two) < 2:
            yield
            return
        session, watcher = await self._connect(), await self._connect()
        try:
            for one in (session, watcher):
                await one.execute("SET lock_timeout = '500ms'")
            task = await self._hide(session, watcher, two[0])
            await self._write(watcher, two[1])
            yield
            await self._show(session, watcher, task)
        finally:
            await session.close()
            await watcher.close()

    async def _hide(
        self, session: asyncpg.Connection, watcher: asyncpg.Connection, transaction: Transaction
    ) -> "asyncio.Task[Commit | None]":
        """Its commit is not seen until it is shown."""
        await session.execute(f"SET synchronous_commit = {'on' if self._hides else 'local'}")
        task = asyncio.create_task(self._write(session, transaction))

        async def waits() -> bool:
            return task.done() or bool(await watcher.fetchval(WAITS, session.get_server_pid()))

        await holds(waits)
        return task

    async def _show(
        self, session: asyncpg.Connection, watcher: asyncpg.Connection, task: "asyncio.Task[Commit | None]"
    ) -> None:
        pid = session.get_server_pid()
        while not task.done():
            if await watcher.fetchval(WAITS, pid):
                await watcher.execute("SELECT pg_cancel_backend($1)", pid)
            await asyncio.wait([task], timeout=0.01)
        await task
        await session.execute("SET synchronous_commit = local")

    async def _write(self, session: asyncpg.Connection, transaction: Transaction) -> Commit | None:
        """Statements that fail are undone by themselves, as are those that are meant to be."""
        outer = session.transaction()
        await outer.start()
        alone = len(transaction.statements) == 1 and not transaction.statements[0].undone
        for statement in transaction.statements:
            if alone:
                if not await self._execute(session, statement):
                    await outer.rollback()
                    return None
                break
            savepoint = session.transaction()
            await savepoint.start()
            done = await self._execute(session, statement)
            await (savepoint.commit() if done and not statement.undone else savepoint.rollback())
        xid = await session.fetchval("SELECT pg_current_xact_id_if_assigned()::text")
        if transaction.undone or xid is None:
            await outer.rollback()
            return None
        commit = Commit(int(xid))
        self.commits.append(commit)
        await outer.commit()
        return commit

    async def _execute(self, session: asyncpg.Connection, statement: Statement) -> bool:
        try:
            await session.execute(statement.write(self._scenario.tables, self._schema))
        except asyncpg.PostgresError as error:
            self._tally.outcomes[f"statement failed: {error.sqlstate}"] += 1
            return False
        return True
