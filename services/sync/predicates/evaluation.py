"""Ask Postgres which clauses are true for which rows, and when it fails, find out for whom.

Invariants
  * an answer is about the clauses as their records have them: what they stand on is looked at after they were
    evaluated, so what was altered before or meanwhile is noticed, and such a clause has no answer but `Altered`;
  * a clause that raises an error, or takes longer than its budget, has none either, and the others have theirs.

Rows are evaluated a moment after their commit, with the catalogue of that moment. That is right because the clause is
held to one version of it: had a function been replaced in between, its versions would differ, and the shape ends.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog

from medley.clauses import objects
from medley.clauses.objects import Named
from medley.runtime.postgres import is_closed
from services.sync.predicates.statement import Question, Row, question
from services.sync.predicates.template import Template
from services.sync.predicates.units import Asked, Unit
from services.sync.questions import Questions

log = structlog.get_logger()

_SETTINGS = (
    "SET standard_conforming_strings = on; SET transform_null_equals = off; SET default_transaction_read_only = on"
)


@dataclass(frozen=True, slots=True)
class Failed:
    """The clause raised `reason` on the row of that number; or was too slow, on no row in particular."""

    reason: str
    row: int | None = None
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Altered:
    """What the clause stands on is not what it was."""

    reason: str


@dataclass(slots=True)
class Answers:
    """By places in what was asked."""

    true: dict[int, list[int]] = field(default_factory=dict)
    """By the number of a row: what is true for it."""
    without: dict[int, Failed | Altered] = field(default_factory=dict)
    """What has no answer, and why."""


class Evaluation:
    """One session of a pool, kept for as long as it lives. `seconds` is the budget of one question."""

    def __init__(self, pool: asyncpg.Pool, seconds: float) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._questions = Questions(pool, seconds, _SETTINGS)
        self.questions = 0
        self.rows = 0
        """How many questions there were, and rows that they were about; those that find who is to blame count, too."""

    async def ask(
        self, table: str, rows: Sequence[Row], asked: Sequence[Asked], known: Sequence[dict[Named, str]]
    ) -> Answers:
        """`known`: for each of what is asked, the versions of what it stands on. Raises what the pool raises."""
        answers = Answers()
        async with self._lock:
            connection = await self._questions.session()
            await self._answer(connection, table, rows, list(enumerate(asked)), answers)
            named = sorted({name for versions in known for name in versions})
            now = await objects.versions(connection, named)
        for place, versions in enumerate(known):
            if any(now.get(name) != version for name, version in versions.items()):
                answers.without[place] = Altered("what its clause stands on was altered")
        if answers.without:
            answers.true = {
                row: [place for place in places if place not in answers.without] for row, places in answers.true.items()
            }
        return answers

    async def close(self) -> None:
        await self._questions.close()

    async def _answer(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        table: str,
        rows: Sequence[Row],
        asked: list[tuple[int, Asked]],
        answers: Answers,
    ) -> None:
        """All at once; when that fails, by halves, so that one that is to blame costs the others a few questions."""
        try:
            await self._fetch(question(table, rows, [one for _, one in asked]), [place for place, _ in asked], answers)
        except asyncpg.PostgresError as error:
            if is_closed(connection):
                raise
            if len(asked) > 1:
                middle = len(asked) // 2
                for half in (asked[:middle], asked[middle:]):
                    await self._answer(connection, table, rows, half, answers)
            else:
                [(place, one)] = asked
                await self._blame(connection, table, rows, place, one, error, answers)

    async def _blame(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        table: str,
        rows: Sequence[Row],
        place: int,
        one: Asked,
        error: asyncpg.PostgresError,
        answers: Answers,
    ) -> None:
        """One clause failed: on which row, and was it the clause at all."""
        said = error.message or str(error)
        if isinstance(error, asyncpg.QueryCanceledError):
            reason = f"takes longer than {self._seconds:g} s for the rows of a moment"
            answers.without[place] = Failed(reason, slow=True)
            return
        if await self._fails(connection, table, rows, _without_clause(one)):
            answers.without[place] = Altered(f"a value cannot be read as its column's type any more: {said}")
            return
        numbers = one.rows or tuple(range(1, len(rows) + 1))
        while len(numbers) > 1:
            middle = len(numbers) // 2
            for half in (numbers[:middle], numbers[middle:]):
                if await self._fails(connection, table, [rows[number - 1] for number in half], Asked(one.unit)):
                    numbers = half
                    break
            else:
                break  # not on any row by itself
        answers.without[place] = Failed(said, row=numbers[0] if len(numbers) == 1 else None)

    async def _fails(
        self, connection: asyncpg.pool.PoolConnectionProxy, table: str, rows: Sequence[Row], one: Asked
    ) -> bool:
        try:
            await self._fetch(question(table, rows, [one]), [0], Answers())
        except asyncpg.PostgresError:
            if is_closed(connection):
                raise
            return True
        return False

    async def _fetch(self, asked: Question, places: Sequence[int], answers: Answers) -> None:
        """`places`: where what it asks stands in what was asked at first."""
        self.questions += 1
        self.rows += asked.rows
        found = await self._questions.ask(asked.sql, asked.values)
        alone = [places[one] for one in asked.alone]
        sets = [[-1, *(places[one] for one in listed)] for listed in asked.sets]
        for template, row, numbers in found:
            true = map((alone if template < 0 else sets[template]).__getitem__, numbers)
            answers.true.setdefault(row, []).extend(true)


def _without_clause(one: Asked) -> Asked:
    """What is left of a question when its clause is taken away: making the values."""
    return Asked(Unit(Template(("true",), ()), (), one.unit.columns))
