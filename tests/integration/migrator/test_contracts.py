"""A contract holds what a service's SQL reads and writes, no more and no less; the pinned ones are up to date."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args, get_type_hints

import asyncpg
import pytest
import pytest_asyncio

from medley.blobs.port import Blob, Place
from medley.gate.needs import Needs, load
from medley.runtime.errors import Permanent
from services.migrator import ledger, migrations
from services.migrator.contract import generate as contracts
from services.migrator.contract.analysis import analyse, relations_of
from tests.integration.migrator.statement_cases import CASES, SCHEMA, Case
from tests.integration.test_statements import STATEMENTS, UTILITY, _code
from tests.support.databases import drop_database, make_database
from tests.support.migrator import Migrations

ROOT = Path(__file__).resolve().parents[3]


@pytest_asyncio.fixture(scope="module")
async def shop(postgres_versions: str) -> AsyncIterator[asyncpg.Connection]:
    dsn = await make_database(postgres_versions)
    connection = await asyncpg.connect(dsn)
    await ledger.prepare(connection)
    await connection.execute(SCHEMA)
    await connection.execute("SET search_path = shop, public")
    yield connection
    await connection.close()
    await drop_database(dsn)


async def _needs(connection: asyncpg.Connection, *texts: str) -> Needs:
    relations = await relations_of(connection)
    analysed = [await analyse(connection, relations, text, text) for text in texts]
    return contracts.needs("shop", analysed, {relation.name: relation for relation in relations.values()})


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split("|" if "|" in text else None) if word)


@pytest.mark.parametrize("name", CASES)
async def test_it_says_what_a_statement_reads_and_writes(name: str, shop: asyncpg.Connection) -> None:
    case: Case = CASES[name]
    found = await _needs(shop, case.sql)
    assert {table: tuple(columns) for table, columns in found.reads.items()} == {
        table: _words(columns) for table, columns in case.reads.items()
    }
    assert {table: (w.inserts, w.updates, w.deletes, w.arbiters) for table, w in found.writes.items()} == {
        table: (
            () if w.insert is None else (_words(w.insert),),
            _words(w.update),
            w.delete,
            tuple(_words(keys) for keys in w.on),
        )
        for table, w in case.writes.items()
    }
    for written in found.writes.values():
        assert set(written.columns) == {column for some in (*written.inserts, written.updates) for column in some}


async def test_a_column_has_its_type_and_whether_it_may_be_null(shop: asyncpg.Connection) -> None:
    found = (await _needs(shop, "SELECT price, mood, label FROM item")).reads["shop.item"]
    assert {name: (column.type, column.nullable) for name, column in found.items()} == {
        "label": ("text", False),
        "mood": ("shop.mood", True),
        "price": ("numeric(8,2)", True),
    }


async def test_statements_add_up(shop: asyncpg.Connection) -> None:
    found = await _needs(
        shop,
        "INSERT INTO item (id, label) VALUES (1, 'a')",
        "INSERT INTO item (label, id) VALUES ('b', 2)",
        "INSERT INTO item (id, label, price) VALUES (3, 'c', 1)",
        "UPDATE item SET mood = NULL",
        "SELECT live FROM item",
    )
    assert list(found.reads["shop.item"]) == ["live"]
    assert found.writes["shop.item"].inserts == (("id", "label"), ("id", "label", "price"))
    assert list(found.writes["shop.item"].columns) == ["id", "label", "mood", "price"]


async def test_nothing_is_left_behind(shop: asyncpg.Connection) -> None:
    async def left() -> tuple[int, int, str]:
        made = await shop.fetchval("SELECT count(*) FROM pg_proc WHERE proname LIKE 'contract%'")
        prepared = await shop.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'contract%'")
        return made, prepared, await shop.fetchval("SELECT current_setting('search_path')")

    await _needs(shop, "INSERT INTO sale (id, item) VALUES ($1, 1) ON CONFLICT (id) DO NOTHING")
    for refused in ("SELECT nothing FROM item", "SELECT twice(id) FROM item"):
        with pytest.raises(Permanent):
            await _needs(shop, refused)
    assert await left() == (0, 0, "shop, public")


async def test_what_a_contract_cannot_hold_is_refused_by_name(shop: asyncpg.Connection) -> None:
    relations = await relations_of(shop)
    with pytest.raises(Permanent, match=r"catalog\.sql:double: .*function"):
        await analyse(shop, relations, "catalog.sql:double", "SELECT twice(id) FROM item")
    with pytest.raises(Permanent, match=r"catalog\.sql:wrong: .*column \"nothing\""):
        await analyse(shop, relations, "catalog.sql:wrong", "SELECT nothing FROM item")


async def test_the_pinned_contracts_are_what_the_code_needs(postgres_server: str) -> None:
    generated = await contracts.generate(postgres_server)
    assert [path.parent.name for path in generated] == ["api", "ingest", "sync"]
    assert contracts.differing(generated) == [], "run `make contracts` and commit what it writes"
    assert generated == await contracts.generate(postgres_server), "not stable"


async def test_the_command_checks_and_the_pinned_contracts_are_current(postgres_server: str) -> None:
    done = await Migrations(ROOT / "schema", postgres_server).run("contracts", "--check", "--json")
    assert (done.code, done.value) == (0, {"written": []})


async def test_what_differs_is_named(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contracts.text_of
    monkeypatch.setattr(contracts, "text_of", lambda contract: before(contract).replace("placement", "place"))
    stale = contracts.differing(await contracts.generate(postgres_server))
    assert [path.parent.name for path in stale] == ["api", "ingest"]


async def test_a_contract_is_read_as_it_was_written() -> None:
    for service in contracts.SERVICES:
        path = ROOT / "services" / service / "contract.json"
        assert contracts.text_of(load(path)) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_is_never_prepared_is_left_out(name: str) -> None:
    assert contracts.is_utility(STATEMENTS[name]) == _code(STATEMENTS[name]).upper().startswith(UTILITY)


def test_the_blob_that_readers_get_is_made_of_columns_that_they_need() -> None:
    columns = load(ROOT / "services/api/contract.json").reads["public.media_blobs"]
    names = {field.name for field in dataclasses.fields(Blob)} - {"place"} | set(Place._fields)
    assert names == set(columns)


async def test_placements_are_those_of_the_table(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        for migration in migrations.read(ROOT / "schema"):
            await connection.execute(migration.text)
        check = await connection.fetchval(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'media_blobs_placement_check'"
        )
    finally:
        await connection.close()
    words = get_args(get_type_hints(Place)["placement"])
    assert sorted(words) == sorted(part for part in check.split("'")[1::2])
