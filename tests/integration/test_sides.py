"""What a row computes, computed once for many constants: Postgres says the same as of each clause by itself."""

import random
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from medley.clauses.judge import Scope, UsableColumn, understood
from medley.clauses.text import read
from medley.contracts.shapes import ClauseColumn
from medley.runtime.postgres import SESSION
from services.sync.catalog import SQL
from services.sync.predicates.evaluation import Answers, Evaluation, Failed
from services.sync.predicates.statement import Row
from services.sync.predicates.template import template
from services.sync.predicates.units import Asked, Unit
from tests.support.predicates import make_table, writer

NUMBERS = ("0", "1.5", "1.50", "-2", "NaN", "Infinity", "-Infinity", "3", "100", "12345678901234567890.123")
INTEGERS = ("0", "1", "2", "3", "-5", "5", "999", "2147483647")
TEXTS = ("a", "A", "abc", "ä", "", "o'brien\\x", "null", "zebra", "ab%c", "日本")
DATES = ("2026-01-01", "infinity", "-infinity", "0044-03-15 BC", "2024-02-29")
TIMES = ("2026-01-01 10:00", "2025-12-31 23:30", "infinity", "-infinity", "1999-01-01")
SIGNS = ("=", "<>", "<", "<=", ">", ">=")

# What is computed, what is compared with it, and constants of that.
TEMPLATES: list[tuple[str, str, Sequence[str]]] = [
    *((f"(n * 2)::{kind} {sign}", f"::{kind}", NUMBERS) for kind in ("numeric", "double precision") for sign in SIGNS),
    *((f"abs(f)::double precision {sign}", "::double precision", NUMBERS) for sign in SIGNS),
    *((f"length(title) {sign}", "::integer", INTEGERS) for sign in SIGNS),
    *((f"(id % 5)::bigint {sign}", "::bigint", INTEGERS) for sign in SIGNS),
    *((f"small::integer {sign}", "::integer", INTEGERS) for sign in SIGNS),
    *((f"(tz AT TIME ZONE 'UTC')::date {sign}", "::date", DATES) for sign in SIGNS),
    *((f"(d - 1)::timestamp {sign}", "::timestamp", TIMES) for sign in SIGNS),
    *((f"date_trunc('day', tz)::timestamptz {sign}", "::timestamptz", TIMES) for sign in SIGNS),
    *((f"lower(title) {sign}", "::text", TEXTS) for sign in SIGNS),
    *((f"lower(loose) {sign}", "::text", TEXTS) for sign in ("=", "<>")),
    *((f"(german || 'x') {sign}", "::text", TEXTS) for sign in ("<", ">=")),
    *((f"(\"C\" || '') {sign}", "::text", TEXTS) for sign in ("<", ">=")),
    *((f"(title COLLATE \"C\" || '') {sign}", "::text", TEXTS) for sign in ("<", ">=")),
    ("j ->> 'artist' =", "::text", ("Ann", "Bo", "")),
    ("j -> 'a' =", "::jsonb", ("1", "1.0", "null", '"x"')),
    ("(code || 'x')::bpchar =", "::bpchar", ("a  x", "abcx", "ax")),
    ("nums || 5 >", "::int[]", ("{}", "{1,2}", "{NULL,5}")),
    ("(u::text || '')::uuid >", "::uuid", ("00000000-0000-0000-0000-000000000001", "8" + "0" * 31)),
    ("iv * 2 >=", "::interval", ("1 day", "0", "2 days", "48:00")),
    ("(time + '1 hour') <", "::time", ("00:00", "12:00", "13:34:56.789")),
    ("{s}.doubled(id) >", "::integer", INTEGERS),
    ("(pair).a =", "::integer", INTEGERS),
    ("CASE WHEN b THEN id ELSE -id END >", "::integer", INTEGERS),
]  # fmt: skip


@dataclass
class Desk:
    """A table of many types, and who evaluates clauses of it."""

    connection: asyncpg.Connection
    evaluation: Evaluation
    schema: str
    columns: list[ClauseColumn]
    notices: list[str]

    async def unit(self, where: str) -> Unit:
        """As a shape's record has it."""
        oid = await self.connection.fetchval("SELECT $1::text::regclass::oid::bigint", f"{self.schema}.t")
        scope = Scope(oid, "t", tuple(UsableColumn(one.name, one.type_sql) for one in self.columns))
        found = await understood(self.connection, scope, read("where", where), ())
        return Unit(*template(found.sql), tuple(one for one in self.columns if one.name in found.columns))

    async def rows(self) -> list[Row]:
        """In the order of `id`."""
        shown = ", ".join(
            f"CASE WHEN num_nulls({name}) = 0 THEN format('%s', {name}) END AS {name}"
            for name in ('"' + one.name.replace('"', '""') + '"' for one in self.columns)
        )
        return [dict(row) for row in await self.connection.fetch(f"SELECT {shown} FROM {self.schema}.t ORDER BY t.id")]

    async def ask(self, rows: Sequence[Row], asked: Sequence[Asked]) -> Answers:
        return await self.evaluation.ask("t", rows, asked, [{} for _ in asked])

    async def alone(self, rows: Sequence[Row], asked: Sequence[Asked]) -> Answers:
        """Each by itself."""
        answers = Answers()
        for place, one in enumerate(asked):
            found = await self.ask(rows, [one])
            if found.without:
                answers.without[place] = found.without[0]
            for row, places in found.true.items():
                answers.true.setdefault(row, []).extend(place for _ in places)
        return answers


@pytest_asyncio.fixture
async def desk(postgres_dsn: str) -> AsyncIterator[Desk]:
    schema, notices = f"s_{secrets.token_hex(4)}", list[str]()
    connection = await asyncpg.connect(postgres_dsn, server_settings=SESSION)
    await make_table(connection, schema)
    await connection.execute(
        f"""CREATE FUNCTION {schema}.told(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
            'BEGIN RAISE NOTICE ''%'', $1; IF $1 = ''bad'' THEN RAISE ''not this one''; END IF; RETURN $1; END'"""
    )

    async def listen(one: asyncpg.pool.PoolConnectionProxy) -> None:
        one.add_log_listener(lambda _, message: notices.append(message.message))

    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=2, server_settings=SESSION, setup=listen) as pool:
        oid = await connection.fetchval("SELECT $1::text::regclass::oid::bigint", f"{schema}.t")
        await connection.execute("SET search_path = pg_catalog")
        columns = [ClauseColumn(**row) for row in await connection.fetch(SQL["clause_columns"], oid)]
        await connection.execute("RESET search_path")
        evaluation = Evaluation(pool, 30)
        yield Desk(connection, evaluation, schema, columns, notices)
        await evaluation.close()
    await connection.close()


def true(answers: Answers) -> dict[int, list[int]]:
    """By what was asked: the rows for which it is true."""
    found: dict[int, list[int]] = {}
    for row, places in answers.true.items():
        for place in places:
            found.setdefault(place, []).append(row)
    return {place: sorted(rows) for place, rows in found.items()}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize("turned", [False, True])
async def test_each_of_many_constants_finds_what_select_finds(desk: Desk, turned: bool) -> None:
    writes = await writer(desk.connection, desk.schema, 11)
    for _ in range(60):
        await writes.transaction()
    rows = await desk.rows()
    ids = [row["id"] for row in rows]
    clauses = []
    for computed, kind, constants in TEMPLATES:
        left, _, sign = computed.replace("{s}", desk.schema).rpartition(" ")
        right = [f"{quoted(text)}{kind}" for text in constants]
        clauses += [f"{one} {sign} ({left})" if turned else f"({left}) {sign} {one}" for one in right]
    units = [await desk.unit(clause) for clause in clauses]
    answers = await desk.ask(rows, [Asked(unit) for unit in units])
    assert (answers.without, desk.evaluation.questions) == ({}, 1)
    found = true(answers)
    wrong = []
    for place, clause in enumerate(clauses):
        wanted = await desk.connection.fetch(f"SELECT id::text FROM {desk.schema}.t WHERE {clause} ORDER BY t.id")
        if [ids[row - 1] for row in found.get(place, [])] != [row["id"] for row in wanted]:
            wrong.append(clause)
    assert wrong == []
    assert sum(bool(rows) for rows in found.values()) > len(clauses) / 3


async def test_of_rows_that_each_is_asked_about(desk: Desk) -> None:
    """Many of each template, each about some rows; the same as when each is asked by itself."""
    writes = await writer(desk.connection, desk.schema, 12)
    for _ in range(60):
        await writes.transaction()
    rows, chance = await desk.rows(), random.Random(3)  # noqa: S311
    units = [
        await desk.unit(f"({left}) {sign} {quoted(text)}{kind}")
        for computed, kind, constants in TEMPLATES[::5]
        for left, _, sign in [computed.replace("{s}", desk.schema).rpartition(" ")]
        for text in constants
    ]
    numbers = range(1, len(rows) + 1)
    asked = [Asked(unit, tuple(sorted(chance.sample(numbers, chance.randint(1, len(rows)))))) for unit in units]
    answers = await desk.ask(rows, asked)
    assert (answers.without, desk.evaluation.questions) == ({}, 1)
    assert true(answers) == true(await desk.alone(rows, asked)) != {}


@pytest.mark.parametrize(
    ("computed", "bad", "reason"),
    [
        ("(title::integer)::integer >", {"title": "x"}, 'invalid input syntax for type integer: "x"'),
        ("title::integer + 0 =", {"title": "x"}, 'invalid input syntax for type integer: "x"'),
        ("10 / id =", {"id": "0"}, "division by zero"),
        ("(10 / id)::integer <", {"id": "0"}, "division by zero"),
        ("((title || '1')::jsonb)::integer >=", {"title": "{"}, "invalid input syntax for type json"),
    ],
)
async def test_a_row_that_raises_raises_for_all_of_them(
    desk: Desk, computed: str, bad: dict[str, str], reason: str
) -> None:
    """With the same reason and row as one by itself; what is not asked about that row has its answer."""
    units = [await desk.unit(f"{computed} {constant}::integer") for constant in range(1, 9)]
    other = [await desk.unit(f"id * 2 > {constant}") for constant in range(-8, 0)]
    nothing: dict[str, str | None] = {one.name: None for one in desk.columns}
    rows = [
        {**nothing, "id": "1", "title": "5"},
        {**nothing, "id": "2", "title": "3"},
        {**nothing, **{"id": "3"}, **bad},
    ]
    asked = [Asked(unit) for unit in units + other]
    answers = await desk.ask(rows, asked)
    assert answers.without == {place: Failed(answers.without[0].reason, row=3) for place in range(len(units))}
    assert answers.without[0].reason.startswith(reason)
    assert (await desk.alone(rows, asked)).without == answers.without
    assert set(true(answers)) == set(range(len(units), len(asked)))
    limited = [Asked(unit, (1, 2)) for unit in units]
    fine = await desk.ask(rows, limited)
    assert fine.without == {}
    assert true(fine) == true(await desk.alone(rows, limited)) != {}


async def test_it_is_computed_once_for_each_row_that_somebody_asks_about(desk: Desk) -> None:
    units = [await desk.unit(f"{desk.schema}.told(title) || '' {sign} '{n}'") for sign in ("=", ">") for n in range(20)]
    numbers = [await desk.unit(f"({desk.schema}.told(title))::integer > {n}") for n in range(20)]
    nothing: dict[str, str | None] = {one.name: None for one in desk.columns}
    rows = [{**nothing, "id": str(number), "title": text} for number, text in enumerate(["1", "2", "bad", "3"])]
    for these, each in ((numbers, 1), (units, 40)):
        desk.notices.clear()
        about = [Asked(unit, (1, 2) if place % 2 else (2, 4)) for place, unit in enumerate(these)]
        assert (await desk.ask(rows, about)).without == {}
        told = {text: desk.notices.count(text) for text in ("1", "2", "bad", "3")}
        halves = {1: {"1": 1, "2": 1, "bad": 0, "3": 1}, 40: {"1": 20, "2": 40, "bad": 0, "3": 20}}[each]
        assert told == halves
    desk.notices.clear()
    whole = [rows[0], rows[1], rows[3]]
    assert (await desk.ask(whole, [Asked(unit) for unit in numbers])).without == {}
    assert sorted(desk.notices) == ["1", "2", "3"]
