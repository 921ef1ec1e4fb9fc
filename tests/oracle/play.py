"""Play a scenario on a running sync, and compare what its shapes hold with what SELECT says, after each batch.

The order: tables and rows → shapes of the batch → its transactions, some shapes being opened meanwhile → everything
that was committed is sent → each shape is compared, and opened again if it has ended for a reason.
"""

import asyncio
import re
from dataclasses import dataclass

import asyncpg

from medley.contracts.shapes import ShapeDefinition
from tests.oracle.copies import StrictCopy
from tests.oracle.desk import Desk
from tests.oracle.model import Scenario, Shape, Statement, Transaction
from tests.oracle.outcomes import Difference, Tally
from tests.oracle.reader import Reader
from tests.oracle.truth import Truth
from tests.support.shapes import OpenShape, Refusal

# What may be refused although SELECT takes it: what reads more than the row, as the README of sync says.
_DOCUMENTED = re.compile(
    r"is not immutable|cannot be turned into|is not supported in a where clause|returns a set|cannot use subquery"
    r"|system column|SQLVALUEFUNCTION|set-returning functions|is not closed|unexpected|the catalogue|is not used in"
    r"|was not provided"
)


@dataclass
class _Followed:
    """A shape of the scenario and, while it is open, what a follower has of it."""

    number: int
    shape: Shape
    clause: str
    params: tuple[str, ...]
    columns: tuple[str, ...]
    truth: Truth
    open: OpenShape | None = None
    copy: StrictCopy | None = None
    seen: int = 0
    refused: str | None = None
    opened: bool = False

    @property
    def tier(self) -> str:
        if self.open is None:
            return "-"
        predicate = self.open.record.predicate
        if predicate is None:
            return "whole"
        return predicate.tier + (" + index" if predicate.tier == "postgres" and predicate.index else "")


class Play:
    """One scenario, in a schema of its own."""

    def __init__(self, scenario: Scenario, schema: str, desk: Desk, reader: Reader, tally: Tally) -> None:
        self._scenario, self._schema = scenario, schema
        self._desk, self._reader, self._tally = desk, reader, tally
        self.differences: list[Difference] = []

    async def run(self, dsn: str, settings: dict[str, str]) -> list[Difference]:
        session, writer = [await asyncpg.connect(dsn, server_settings=settings) for _ in range(2)]
        followed: list[_Followed] = []
        try:
            await session.execute(f"CREATE SCHEMA {self._schema}")
            for table in self._scenario.tables:
                await session.execute(table.create(self._schema))
            await self._write(writer, Transaction(statements=self._scenario.rows))
            followed = [self._followed(number, session) for number in range(len(self._scenario.shapes))]
            for number, batch in enumerate(self._scenario.batches):
                await self._open([one for one in followed if one.shape.batch == number and not one.shape.amid])
                amid = [one for one in followed if one.shape.batch == number and one.shape.amid]
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._open(amid))
                    group.create_task(self._batch(writer, batch))
                await self._compare(session, number, [one for one in followed if one.opened])
        finally:
            for one in followed:
                if one.open is not None:
                    await self._forget(one.open.handle)
            await session.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")
            await session.close()
            await writer.close()
        return self.differences

    def _followed(self, number: int, session: asyncpg.Connection) -> _Followed:
        shape = self._scenario.shapes[number]
        table = self._scenario.tables[shape.table]
        params: list[str] = []
        clause = shape.where.write(params)
        columns = shape.columns or tuple(column.name for column in table.columns)
        truth = Truth(session, table.sql(self._schema), table.history(self._schema), table.name)
        return _Followed(number, shape, clause, tuple(params), columns, truth)

    async def _batch(self, writer: asyncpg.Connection, batch: tuple[Transaction, ...]) -> None:
        for transaction in batch:
            await self._write(writer, transaction)

    async def _write(self, writer: asyncpg.Connection, transaction: Transaction) -> None:
        """Statements that fail are undone by themselves, as are those that are meant to be."""
        if len(transaction.statements) == 1 and not transaction.undone and not transaction.statements[0].undone:
            await self._execute(writer, transaction.statements[0])  # as fast as it can be
            return
        outer = writer.transaction()
        await outer.start()
        for statement in transaction.statements:
            savepoint = writer.transaction()
            await savepoint.start()
            done = await self._execute(writer, statement)
            await (savepoint.commit() if done and not statement.undone else savepoint.rollback())
        await (outer.rollback() if transaction.undone else outer.commit())

    async def _execute(self, writer: asyncpg.Connection, statement: Statement) -> bool:
        try:
            await writer.execute(statement.write(self._scenario.tables, self._schema))
        except asyncpg.PostgresError as error:
            self._tally.outcomes[f"statement failed: {error.sqlstate}"] += 1
            return False
        return True

    async def _open(self, some: list[_Followed]) -> None:
        gate = asyncio.Semaphore(4)

        async def one(followed: _Followed) -> None:
            async with gate:
                await self._open_one(followed)

        async with asyncio.TaskGroup() as group:
            for followed in some:
                group.create_task(one(followed))

    async def _open_one(self, one: _Followed) -> None:
        """Open it and wait for its snapshot; a sync that is killed meanwhile makes it try again."""
        table = self._scenario.tables[one.shape.table]
        one.opened, one.refused, one.seen = True, None, 0
        while True:
            try:
                one.open = await self._desk.open(
                    ShapeDefinition(
                        schema_name=self._schema,
                        table=table.name,
                        where=one.clause,
                        params=one.params,
                        columns=one.shape.columns,
                        replica=one.shape.replica,
                    )
                )
            except Refusal as refusal:
                one.open, one.copy, one.refused = None, None, str(refusal)
                return
            one.copy = StrictCopy(table.key, one.shape.replica == "full")
            if await self._whole(one.open):
                one.copy.snapshot(self._reader.of(one.open.handle).snapshot)
                return
            self._reader.forget(one.open.handle)

    async def _whole(self, open_: OpenShape) -> bool:
        """False when the shape ended before its snapshot was whole."""
        whole = self._reader.of(open_.handle).whole
        while not whole.is_set():
            try:
                await asyncio.wait_for(whole.wait(), 0.3)
            except TimeoutError:
                if not await self._desk.is_open(open_.handle) and not whole.is_set():
                    return False
        return True

    async def _forget(self, handle: str) -> None:
        self._reader.forget(handle)
        await self._desk.drop(handle)

    async def _compare(self, session: asyncpg.Connection, batch: int, some: list[_Followed]) -> None:
        written = int(await session.fetchval("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"))
        await self._reader.caught_up(written)
        for one in some:
            self._tally.cases += 1
            self._tally.tiers[one.tier] += 1
            outcome = await self._outcome(one, batch)
            self._tally.outcomes[outcome] += 1

    async def _outcome(self, one: _Followed, batch: int) -> str:
        clause = one.shape.where.write()
        refusal = await one.truth.refusal(clause)
        if one.open is None:
            return await self._refused(one, batch, clause, refusal)
        if refusal is not None:
            return self._differ("taken, though Postgres refuses it", one, batch, refusal)
        if not await self._desk.is_open(one.open.handle):
            return await self._ended(one, batch, clause)
        return await self._held(one, batch, clause)

    async def _refused(self, one: _Followed, batch: int, clause: str, refusal: str | None) -> str:
        assert one.refused is not None
        if refusal is not None:
            return "refused by both"
        if _DOCUMENTED.search(one.refused):
            return "refused as documented"
        if await one.truth.has_raised(clause):
            return "refused: it raises on a row"
        return self._differ("refused, though Postgres takes it", one, batch, one.refused)

    async def _ended(self, one: _Followed, batch: int, clause: str) -> str:
        """It was truncated, or its clause raised on some row; then it is opened again."""
        assert one.open is not None
        self._reader.forget(one.open.handle)
        handle = one.open.handle
        truncated = any(
            statement.operation == "truncate" and statement.table == one.shape.table
            for transaction in self._scenario.batches[batch]
            for statement in transaction.statements
        )
        raised = await one.truth.has_raised(clause)
        await self._open_one(one)
        if one.open is not None and one.open.handle == handle:
            return self._differ("a handle is used again", one, batch, handle)
        if one.open is not None and (again := await self._held(one, batch, clause)).startswith("DIFFERENCE"):
            return again
        if truncated:
            return "ended: truncated"
        if raised:
            return "ended: it raises on a row"
        if handle in self._desk.excused:
            return "ended: sync was killed during its snapshot"
        return self._differ("ended without a reason", one, batch, f"{one.refused or ''} {self._desk.told(handle)}")

    async def _held(self, one: _Followed, batch: int, clause: str) -> str:
        assert one.open is not None and one.copy is not None
        log = self._reader.of(one.open.handle).log
        outcome = "equal, and it changed" if len(log) > one.seen else "equal, and it did not change"
        one.copy.log(log[one.seen :])
        one.seen = len(log)
        wanted = await one.truth.rows(clause, one.columns)
        if isinstance(wanted, str):
            outcome, wanted = "equal, but for rows on which it raises", await one.truth.rows_apart(clause, one.columns)
        have = [tuple(row.get(name) for name in one.columns) for row in one.copy.rows]
        missing = [row for row in wanted if row not in have]
        extra = [row for row in have if row not in wanted]
        if missing or extra or len(have) != len(wanted):
            return self._differ("not what SELECT says", one, batch, f"missing {missing[:2]}, extra {extra[:2]}")
        if faults := one.copy.settled():
            return self._differ("wrong entries", one, batch, "; ".join(faults[:3]))
        return outcome

    def _differ(self, what: str, one: _Followed, batch: int, detail: str) -> str:
        self.differences.append(
            Difference(what, self._scenario.seed, one.number, batch, one.shape.where.write(), detail, one.tier)
        )
        return f"DIFFERENCE: {what}"
