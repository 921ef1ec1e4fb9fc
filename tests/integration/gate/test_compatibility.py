"""Every rule of compatibility against what happens: both sides of each change run on a real server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from medley.gate import catalogue
from medley.gate.compatibility import compare
from medley.gate.findings import SEVERITY, Class, Finding, Role, worst
from medley.gate.judge import Answer, Build, judge
from medley.gate.needs import Needs
from medley.gate.objects import Catalogue
from medley.gate.records import Applied, Compat, Ledger
from services.migrator.contract.analysis import analyse, relations_of
from services.migrator.contract.generate import needs
from tests.integration.gate import cases_of_columns, cases_of_guards, cases_of_tables, cases_of_types
from tests.integration.gate.cases import Case
from tests.integration.gate.replicas import TABLES, Outcome, execute
from tests.integration.gate.upgrades import Happened, Upgrade, run
from tests.support import servers
from tests.support.databases import drop_database, make_database
from tests.support.versions import VERSIONS, postgres_of

SHOP = Path(__file__).with_name("shop.sql").read_text(encoding="utf-8")
CASES = {**cases_of_columns.CASES, **cases_of_types.CASES, **cases_of_guards.CASES, **cases_of_tables.CASES}
OURS = (*TABLES, "shop.thing")
NEVER = datetime(2020, 1, 1, tzinfo=UTC)
# Changes are executed on the oldest and the newest, and classified on all of them.
RUN_ON = VERSIONS if os.environ.get("EVERY_VERSION") else (VERSIONS[0], VERSIONS[-1])


@pytest_asyncio.fixture(scope="module", params=RUN_ON, ids=lambda version: f"postgres{version}")
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The owner's address of a server of a version."""
    folder = tmp_path_factory.mktemp("compatibility")
    async with servers.first_of((partial(postgres_of, request.param),), folder) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def shop(server: str) -> AsyncIterator[asyncpg.Connection]:
    """A database with the old schema, which every case leaves as it was."""
    async with _opened(server) as connection:
        yield connection


@pytest_asyncio.fixture(scope="module")
async def any_shop(postgres_versions: str) -> AsyncIterator[asyncpg.Connection]:
    """The same on every version."""
    async with _opened(postgres_versions) as connection:
        yield connection


@asynccontextmanager
async def _opened(server: str) -> AsyncIterator[asyncpg.Connection]:
    dsn = await make_database(server)
    connection = await asyncpg.connect(dsn)
    await connection.execute(SHOP)
    yield connection
    await connection.close()
    await drop_database(dsn)


@pytest_asyncio.fixture(scope="module")
async def database(server: str) -> AsyncIterator[str]:
    """A database for the cases, one after the other."""
    dsn = await make_database(server)
    yield dsn
    await drop_database(dsn)


@pytest_asyncio.fixture(scope="module")
async def session(database: str) -> AsyncIterator[asyncpg.Connection]:
    """One that knows the catalogue already: to learn it takes longer than most cases."""
    connection = await asyncpg.connect(database, statement_cache_size=0)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def owner(session: asyncpg.Connection) -> asyncpg.Connection:
    """The session of the owner; the database has the old schema, whatever the case before made of it."""
    await session.reset()
    await session.execute(f"DROP SCHEMA IF EXISTS shop CASCADE; {SHOP}")
    return session


def found(findings: list[Finding]) -> set[str]:
    """As the cases write it: a table of its own is named, and that of the shop is not."""
    return {
        " ".join(part for part in (each.table if each.table != "shop.item" else "", each.rule, each.column) if part)
        for each in findings
    }


@pytest.mark.parametrize("name", CASES)
async def test_what_happens_is_what_the_rules_say(
    name: str, database: str, owner: asyncpg.Connection, shop: asyncpg.Connection
) -> None:
    case: Case = CASES[name]
    await execute(owner, case.given)
    before = await catalogue.read(owner)
    reader, writer = await _contract(owner, (case.read,)), await _contract(owner, case.writes)
    happened = await run(_upgrade(case, writer), database, shop)
    after = await catalogue.read(owner)
    findings = compare(before, after)
    assert (happened.reader.what, happened.live) == (case.reader, case.live)
    assert (happened.writer.what, happened.replica.what) == (case.writer, case.replica)
    if case.mirrored:
        assert happened.mirror.what == case.mirror
    if case.refused is not None:
        assert len(happened.refused) == case.refused
    assert found(findings) == set(case.finds)
    _assert_classes(case, happened, findings, compare(after, before))
    _assert_sentences(findings)
    for role, contract, outcome in (("reader", reader, happened.reader), ("writer", writer, happened.writer)):
        if role not in case.judged_with_care:
            answer = _judged(Build((), contract, (role,)), findings, after)  # type: ignore[arg-type]
            assert answer.is_open == (outcome.verdict != "breaking"), f"{role}: {outcome}, but {answer}"


async def _contract(connection: asyncpg.Connection, texts: tuple[str, ...]) -> Needs:
    """What the old build needs for these statements, as its contract would say."""
    relations = await relations_of(connection)
    statements = [await analyse(connection, relations, text, text) for text in texts]
    return needs("shop", statements, {relation.name: relation for relation in relations.values()})


def _upgrade(case: Case, contract: Needs) -> Upgrade:
    written = frozenset(column for write in contract.writes.values() for column in write.columns)
    return Upgrade(case.given, case.sql, case.read, case.writes, written, case.new, case.mirrored)


def _assert_classes(case: Case, happened: Happened, findings: list[Finding], mirrored: list[Finding]) -> None:
    outcomes: dict[Role, Outcome] = {
        "reader": happened.reader, "writer": happened.writer, "replica": happened.replica,
    }  # fmt: skip
    for role, outcome in outcomes.items():
        _assert_class(case, role, outcome, worst(findings, role))
    if case.mirrored and happened.mirror.what != "not kept":
        _assert_class(
            case, "mirror", happened.mirror, worst((each for each in mirrored if each.table in OURS), "replica")
        )


def _assert_class(case: Case, role: str, outcome: Outcome, said: Class) -> None:
    if role in case.cautious:
        assert SEVERITY.index(said) > SEVERITY.index(outcome.verdict), f"{role}: {outcome}, and the rules say {said}"
    else:
        assert said == outcome.verdict, f"{role}: {outcome}, and the rules say {said}"


def _assert_sentences(findings: list[Finding]) -> None:
    for finding in findings:
        assert finding.table in finding.sentence
        assert finding.column in finding.sentence


def _judged(build: Build, findings: list[Finding], after: Catalogue) -> Answer:
    """The answer of the gate to a build that has never seen the change."""
    row = Applied("1900000000_change.sql", NEVER, "c", "h", after.fingerprint, Compat(tuple(findings)))
    return judge(build, Ledger(True, (row,), (), after), after)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "CONCURRENTLY" not in case.sql])
async def test_a_do_block_hides_nothing(name: str, any_shop: asyncpg.Connection) -> None:
    case: Case = CASES[name]
    statements = "".join(f"EXECUTE $it${statement}$it$;" for statement in case.sql.split(";;"))
    transaction = any_shop.transaction()
    await transaction.start()
    try:
        await execute(any_shop, case.given)
        before = await catalogue.read(any_shop)
        await any_shop.execute(f"DO $do$ BEGIN {statements} END $do$")
        findings = compare(before, await catalogue.read(any_shop))
    finally:
        await transaction.rollback()
    assert found(findings) == set(case.finds)


def test_only_these_changes_leave_everybody_alone() -> None:
    """Lesson 1: everything else needs a phase of its own."""
    fine = {name for name, case in CASES.items() if not case.finds and name not in cases_of_tables.UNNOTICED}
    assert fine == {
        "add a nullable column", "add a column with a constant default", "add a column with a volatile default",
        "add an identity", "rename there and back", "SET DEFAULT", "DROP DEFAULT of what takes NULL",
        "become an identity by default", "a policy that only shows more", "add a table",
        "rename a table, with a view of the old name", "rename what a foreign key points to, with a view",
        "a foreign key waits for the end of the transaction",
    }  # fmt: skip
