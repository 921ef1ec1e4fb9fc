"""Every named statement of the product is one that Postgres accepts on the migrated schema."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from medley.runtime import statements
from tests.support.migrated import migrated

ROOT = Path(__file__).resolve().parents[2]
# Not to be prepared: utility statements have no plan.
UTILITY = ("CREATE ", "ALTER ", "DROP ", "SET ", "LOCK ")


def _all() -> Iterator[tuple[str, str]]:
    for package in ("medley", "services"):
        for path in sorted((ROOT / package).rglob("*.sql")):
            module = path.with_suffix(".py")
            if module.exists():
                for name, text in statements.load(str(module)).items():
                    yield f"{module.relative_to(ROOT)}:{name}", text


STATEMENTS = dict(_all())


def _code(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


@pytest.fixture(scope="module")
async def library_dsn(postgres_dsn: str, fresh_nats_url: str) -> str:
    dsn = await migrated(postgres_dsn, fresh_nats_url)
    connection = await asyncpg.connect(dsn)
    await connection.execute(STATEMENTS["services/migrator/ledger.py:create_started"])  # made when it is needed
    await connection.close()
    return dsn


@pytest.mark.parametrize("name", STATEMENTS)
async def test_postgres_accepts_it(name: str, library_dsn: str) -> None:
    text = _code(STATEMENTS[name])
    connection = await asyncpg.connect(library_dsn)
    try:
        if text.upper().startswith(UTILITY):
            async with connection.transaction():
                await connection.execute(text)
        else:
            await connection.prepare(text)
    finally:
        await connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_it_names_its_columns(name: str) -> None:
    assert "select *" not in " ".join(_code(STATEMENTS[name]).lower().split())
    assert "returning *" not in " ".join(_code(STATEMENTS[name]).lower().split())
