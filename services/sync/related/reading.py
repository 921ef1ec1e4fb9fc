"""Questions to Postgres in one snapshot, and all that the stream tells up to it.

The order: lock the tables against DDL → take the snapshot → wait until everything that it may see has arrived → ask.
A commit can arrive a moment before snapshots see it: then another one is taken.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import asyncpg

from medley.clauses import objects
from medley.clauses.judge import RULES
from medley.clauses.objects import Named
from medley.contracts.shapes import ClauseTable
from medley.runtime.errors import Transient
from medley.runtime.postgres import GONE, is_closed
from medley.sql.visibility import Snapshot
from services.sync.catalog import SQL
from services.sync.questions import Questions
from services.sync.related.family import columns_of
from services.sync.related.relations import source
from services.sync.related.statement import Question

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '250ms'; " + RULES
# Not `synchronous_commit = on`: where a standby is waited for, it may be away.
_NUDGE = f"BEGIN; SET LOCAL synchronous_commit = local; {SQL['nudge']}; COMMIT"
_NUDGE_AFTER = 0.02
_PAUSE = 0.002
_VISIBLE = 0.25

Arrived = Callable[[int], Awaitable[None]]
"""Returns once every published change that was committed below an LSN has arrived."""


class NotYet(Transient):
    """A table is locked, or a commit that has arrived is not visible yet: to be tried again."""


class Altered(Exception):
    """A table that is read is not what it was."""


class Reading:
    """One session of a pool, kept for as long as it lives; one snapshot at a time."""

    def __init__(self, pool: asyncpg.Pool, seconds: float, arrived: Arrived, publication: str) -> None:
        self._pool = pool
        self._publication = publication
        self.seconds = seconds
        self._arrived = arrived
        self._lock = asyncio.Lock()
        self._questions = Questions(pool, seconds)
        self.questions = 0

    @contextlib.asynccontextmanager
    async def snapshot(self, tables: Collection[ClauseTable], xids: Collection[int]) -> Any:
        """Yields `(snapshot, ask)`. The snapshot sees these transactions.

        Raises Altered when one of the tables is not what it was, NotYet.
        """
        async with self._lock:
            connection = await self._questions.session()
            try:
                try:
                    seen = await self._settled(connection, tables, xids)
                except asyncpg.LockNotAvailableError as error:
                    raise NotYet(f"what subqueries read is locked: {error}") from error

                async def ask(question: Question) -> Sequence[asyncpg.Record]:
                    self.questions += 1
                    return await self._questions.ask(question.sql, question.values, connection)

                yield seen, ask
            except TimeoutError:  # the server did not even answer that it has cancelled the question
                await self._questions.close()
                raise
            finally:
                if not is_closed(connection):
                    await connection.execute("ROLLBACK")

    async def versions(self, named: Collection[Named]) -> dict[Named, str]:
        """What clauses stand on, as it is now."""
        async with self._lock:
            return await objects.versions(await self._questions.session(), named)

    async def is_to_blame(self, error: Exception) -> bool:
        """Whether the session or the server went away, and no clause is at fault."""
        if isinstance(error, TimeoutError):
            return False
        return self._questions.lost() or isinstance(error, GONE)

    async def close(self) -> None:
        await self._questions.close()

    async def _settled(
        self, connection: asyncpg.pool.PoolConnectionProxy, tables: Collection[ClauseTable], xids: Collection[int]
    ) -> Snapshot:
        deadline = asyncio.get_running_loop().time() + _VISIBLE
        while True:
            await self._begin(connection, tables)
            row = await connection.fetchrow(SQL["moment"])
            assert row is not None
            seen = Snapshot.parse(row["snapshot"])
            if all(seen.sees(xid) for xid in xids):
                break
            await connection.execute("ROLLBACK")
            if asyncio.get_running_loop().time() > deadline:
                raise NotYet("a transaction stays invisible after its commit")
            await asyncio.sleep(_PAUSE)
        await self._unaltered(connection, tables)
        await self.wait(row)
        return seen

    async def _begin(self, connection: asyncpg.pool.PoolConnectionProxy, tables: Collection[ClauseTable]) -> None:
        locked = ", ".join(source(table) for table in tables)
        try:
            await connection.execute(f"{_BEGIN} LOCK TABLE {locked} IN ACCESS SHARE MODE")
        except asyncpg.UndefinedTableError as error:
            raise Altered(str(error)) from error

    async def _unaltered(self, connection: asyncpg.pool.PoolConnectionProxy, tables: Collection[ClauseTable]) -> None:
        oids = sorted({table.oid for table in tables})
        rows = {row["oid"]: row for row in await connection.fetch(SQL["columns_now"], oids, self._publication)}
        for table in tables:
            row = rows.get(table.oid)
            now = (
                {(name, int(kind), int(modifier)) for name, kind, modifier in row["columns"]}
                if row is not None
                else set()
            )
            if row is None or not columns_of(table) <= now or tuple(row["primary_key"] or ()) != table.key:
                raise Altered(f"table {table.name} has other columns now, or another primary key")
            if row["publication_entry"] != table.publication_entry:
                # What was written since is not in the stream, and could not be undone.
                raise Altered(f"table {table.name} was taken out of the publication")

    async def wait(self, moment: asyncpg.Record) -> None:
        """Until every change that was committed before the moment has arrived. What was written and not flushed is
        not sent, and may be a commit all the same (synchronous_commit = off): a commit of ours makes it be flushed."""
        written: int = moment["written"]
        if moment["flushed"] >= written:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_NUDGE_AFTER):
                    await self._arrived(written)
                return
        await self._pool.execute(_NUDGE)
        await self._arrived(written)  # a large transaction may be on its way; when capture fails, the term ends
