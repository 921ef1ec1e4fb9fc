"""Play a scenario on a running sync, and compare what its shapes hold with what SELECT says.

The order: tables and rows → shapes of the batch → its transactions, some shapes being opened meanwhile → everything
that was committed is sent → each shape is compared, after each transaction where its writer was alone, and
opened again if it has ended for a reason.
"""

import asyncio
from functools import partial

import asyncpg

from medley.sql.quoting import quote_identifier
from tests.oracle.boundaries import Commit
from tests.oracle.desk import Desk
from tests.oracle.followed import Followed, followed
from tests.oracle.gate import Gate
from tests.oracle.model import Scenario, Transaction
from tests.oracle.openings import Openings
from tests.oracle.outcomes import Difference, Tally
from tests.oracle.reader import Reader
from tests.oracle.stall import Stall
from tests.oracle.verdict import Judge
from tests.oracle.writing import Connect, Writing, written

_MANY = 10  # transactions of one batch: after these, only shapes with subqueries are compared after each


class Play:
    """One scenario. `stalls`: one at a time stops openings. `hides`: commits can be late."""

    def __init__(
        self,
        scenario: Scenario,
        schema: str,
        desk: Desk,
        reader: Reader,
        tally: Tally,
        stalls: Gate,
        hides: bool,
    ) -> None:
        self._scenario, self._schema = scenario, schema
        self._desk, self._reader, self._tally = desk, reader, tally
        self._stalls, self._hides = stalls, hides
        self._openings = Openings(desk, reader, schema)
        self._judge = Judge(scenario, desk, reader, tally, self._openings)

    async def run(self, dsn: str, settings: dict[str, str]) -> list[Difference]:
        connect: Connect = partial(asyncpg.connect, dsn, server_settings=settings)
        session = await connect()
        shapes: list[Followed] = []
        try:
            await self._make(session)
            await self._writing(connect, session, []).all([Transaction(statements=self._scenario.rows)])
            shapes = [followed(self._scenario, self._schema, n, session) for n in range(len(self._scenario.shapes))]
            for number in range(len(self._scenario.batches)):
                await self._batch(number, shapes, connect, session)
        finally:
            for one in shapes:
                if one.open is not None:
                    await self._openings.forget(one.open.handle)
            for name in self._schemas:
                await session.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            await session.close()
        return self._judge.differences

    @property
    def _schemas(self) -> list[str]:
        beside = [one.schema_in(self._schema) for one in self._scenario.tables]
        return [quote_identifier(name) for name in dict.fromkeys([self._schema, *beside])]

    async def _make(self, session: asyncpg.Connection) -> None:
        for name in self._schemas:
            await session.execute(f"CREATE SCHEMA {name}")
        for table in self._scenario.tables:
            await session.execute(table.create(self._schema))
        for tie in self._scenario.ties:
            await session.execute(tie.create(self._scenario.tables, self._schema))

    async def _batch(self, number: int, shapes: list[Followed], connect: Connect, session: asyncpg.Connection) -> None:
        new = [one for one in shapes if one.shape.batch == number]
        async with self._stalls.together():
            await self._openings.open([one for one in new if not one.shape.amid])
        amid = [one for one in new if one.shape.amid]
        batch = self._scenario.batches[number]
        writing = self._writing(connect, session, shapes if len({one.writer for one in batch}) == 1 else [])
        stalled = next((one for one in amid if one.shape.stalled), None)
        if stalled is not None:
            stall = Stall(connect, stalled.table.sql(self._schema), stalled.shape.table, self._reader, self._tally)
            async with self._stalls.alone():
                await stall.play(self._openings.open(amid), batch, writing)
        else:
            async with self._stalls.together(), asyncio.TaskGroup() as group:
                group.create_task(self._openings.open(amid))
                group.create_task(writing.all(batch))
        await self._sent(session)
        paced = bool(batch) and all(one.paced for one in batch)
        opened = [one for one in shapes if one.opened]
        await self._judge.compare(opened, number, writing.commits if writing.tells else [], paced=paced)

    def _writing(self, connect: Connect, session: asyncpg.Connection, shapes: list[Followed]) -> Writing:
        """`shapes`: of those that are open, each commit is told what SELECT says."""

        async def tell(commit: Commit) -> None:
            many = len(writing.commits) > _MANY
            for one in shapes:
                if one.open is not None and (one.shape.where.reads or not many):
                    commit.truths[one.number] = await one.truth.rows(one.written, one.columns)

        sent = partial(self._sent, session)
        told = tell if shapes else None
        writing = Writing(self._scenario, self._schema, connect, self._tally, told, sent, hides=self._hides)
        return writing

    async def _sent(self, session: asyncpg.Connection) -> None:
        """Wait until what was committed was sent."""
        await self._reader.caught_up(await written(session))
