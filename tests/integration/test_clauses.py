"""What a where clause may be, told by Postgres of every version that we claim."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from medley.clauses.judge import Judge, Scope, UsableColumn
from medley.clauses.refusal import Refusal
from medley.clauses.text import read
from tests.integration.clause_cases import ACCEPTED, COLUMNS, REFUSED, SCHEMA


@pytest_asyncio.fixture(scope="module")
async def connection(postgres_versions: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(postgres_versions)
    await opened.execute("CREATE DATABASE clauses")
    await opened.close()
    opened = await asyncpg.connect(postgres_versions, database="clauses")
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    await opened.execute(SCHEMA.format(columns=columns))
    yield opened
    await opened.close()


SCOPE = Scope(1, "items", tuple(UsableColumn(name, kind) for name, kind in COLUMNS.items()))
PARAMS = ("1", "{1,2}", "00000000-0000-0000-0000-000000000001")


async def test_these_are_accepted(connection: asyncpg.Connection) -> None:
    refused = {}
    for text in (one.strip() for line in ACCEPTED.split("\n") for one in line.split(" | ") if one.strip()):
        try:
            await Judge().judge(connection, SCOPE, read("where", text), PARAMS)
        except Refusal as refusal:
            refused[text] = refusal.text
    assert refused == {}


async def test_these_are_refused_with_their_reason(connection: asyncpg.Connection) -> None:
    wrong = {}
    for text, reason in REFUSED.items():
        try:
            await Judge().judge(connection, SCOPE, read("where", text), PARAMS)
            wrong[text[:80]] = "accepted"
        except Refusal as refusal:
            exact = refusal.text if refusal.text.startswith("At location") and reason.startswith("At") else ""
            if reason not in refusal.text or (exact and exact != reason):
                wrong[text[:80]] = refusal.text
    assert wrong == {}
