"""Whether a shape is what it should be after a batch, or has ended, or was refused, for a reason."""

import re
from collections.abc import Sequence

from tests.oracle.boundaries import Commit
from tests.oracle.desk import Desk
from tests.oracle.followed import Followed
from tests.oracle.model import Scenario
from tests.oracle.openings import Openings
from tests.oracle.outcomes import Difference, Tally
from tests.oracle.reader import Reader
from tests.oracle.subqueries import forms

# What may be refused although SELECT takes it: what reads more than the row, as the README of sync says.
_DOCUMENTED = re.compile(
    r"is not immutable|cannot be turned into|is not supported in a where clause|returns a set|cannot use subquery"
    r"|system column|SQLVALUEFUNCTION|set-returning functions|is not closed|unexpected|the catalogue|is not used in"
    r"|was not provided|in a subquery|stands for a value|one plain table|not a table|a subquery stands|can be followed"
    r"|by another operator than =|never published|generated column"
)

# Under ANY and ALL it depends on the order of rows whether such a pattern is looked at before the answer is known.
_BY_ORDER = "LIKE pattern must not end with escape character"


class Judge:
    """Of one scenario. Each shape is one case after each batch."""

    def __init__(self, scenario: Scenario, desk: Desk, reader: Reader, tally: Tally, openings: Openings) -> None:
        self._scenario = scenario
        self._desk, self._reader, self._tally = desk, reader, tally
        self._openings = openings
        self._commits: Sequence[Commit] = ()
        self._paced = False
        self.differences: list[Difference] = []

    async def compare(self, some: Sequence[Followed], batch: int, commits: Sequence[Commit], *, paced: bool) -> None:
        """`commits`: of the batch's only writer. `paced`: each was sent before the next one was."""
        self._commits, self._paced = commits, paced
        for one in some:
            self._tally.cases += 1
            self._tally.tiers[one.tier] += 1
            checked = one.checked
            outcome = await self._outcome(one, batch)
            self._tally.outcomes[outcome] += 1
            self._tally.boundaries += one.checked - checked
            if one.open is not None:
                self._tally.forms.update(forms(one.shape.where))

    async def _outcome(self, one: Followed, batch: int) -> str:
        refusal = await one.truth.refusal(one.written)
        if one.open is None:
            return await self._refused(one, batch, refusal)
        if refusal is not None:
            return self._differ("taken, though Postgres refuses it", one, batch, refusal)
        if not await self._desk.is_open(one.open.handle):
            return await self._ended(one, batch)
        return await self._held(one, batch)

    async def _refused(self, one: Followed, batch: int, refusal: str | None) -> str:
        assert one.refused is not None
        if refusal is not None:
            return "refused by both"
        if _DOCUMENTED.search(one.refused):
            return "refused as documented"
        if await one.truth.has_raised() or (one.shape.where.reads and _BY_ORDER in one.refused):
            return "refused: it raises on a row"
        return self._differ("refused, though Postgres takes it", one, batch, one.refused)

    async def _ended(self, one: Followed, batch: int) -> str:
        """It was truncated, or its clause raised on some row; then it is opened again."""
        assert one.open is not None
        self._reader.forget(one.open.handle)
        handle = one.open.handle
        truncated = any(
            statement.operation == "truncate" and statement.table in one.shape.tables
            for transaction in self._scenario.batches[batch]
            for statement in transaction.statements
        )
        told = self._desk.told(handle)
        raised = await one.truth.has_raised() or (bool(one.shape.where.reads) and _BY_ORDER in told)
        await self._openings.open_one(one)
        if one.open is not None and one.open.handle == handle:
            return self._differ("a handle is used again", one, batch, handle)
        if one.open is not None and (again := await self._held(one, batch)).startswith("DIFFERENCE"):
            return again
        if truncated:
            return "ended: truncated"
        if raised:
            return "ended: it raises on a row"
        if handle in self._desk.excused:
            return "ended: sync was killed during its snapshot"
        return self._differ("ended without a reason", one, batch, f"{one.refused or ''} {told}")

    async def _held(self, one: Followed, batch: int) -> str:
        assert one.open is not None and one.copy is not None
        log = self._reader.of(one.open.handle).log
        outcome = "equal, and it changed" if len(log) > one.seen else "equal, and it did not change"
        one.take(log, self._commits, self._paced)
        wanted = await one.truth.rows(one.written, one.columns)
        if isinstance(wanted, str):
            outcome, wanted = (
                "equal, but for rows on which it raises",
                await one.truth.rows_apart(one.written, one.columns),
            )
        have = [tuple(row.get(name) for name in one.columns) for row in one.copy.rows]
        missing = [row for row in wanted if row not in have]
        extra = [row for row in have if row not in wanted]
        if missing or extra or len(have) != len(wanted):
            return self._differ("not what SELECT says", one, batch, f"missing {missing[:2]}, extra {extra[:2]}")
        if one.faults:
            return self._differ("not what SELECT said after a transaction", one, batch, "; ".join(one.faults[:3]))
        if faults := one.copy.settled():
            return self._differ("wrong entries", one, batch, "; ".join(faults[:3]))
        return outcome

    def _differ(self, what: str, one: Followed, batch: int, detail: str) -> str:
        self.differences.append(Difference(what, self._scenario.seed, one.number, batch, one.written, detail, one.tier))
        return f"DIFFERENCE: {what}"
