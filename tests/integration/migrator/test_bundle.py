"""What a bundle says of a schema is so, and its own SQL computes the fingerprint that the gate computes."""

import json
from pathlib import Path

import asyncpg
import pytest

from medley.gate import bundle, catalogue
from medley.gate.bundle import Bundle, BundleTable
from medley.runtime.errors import ConfigurationError
from tests.integration.migrator.init_files import RICH, WRITTEN
from tests.support.databases import drop_database, make_database

SCHEMA = Path(__file__).resolve().parents[3] / "schema"


async def test_its_own_statements_compute_the_fingerprint(postgres_versions: str) -> None:
    dsn = await make_database(postgres_versions)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "shop, public", "TimeZone": "Asia/Tokyo"})
    await connection.execute("SET search_path = public;" + RICH + WRITTEN)
    meant = (await catalogue.read(connection)).fingerprint
    *settings, query = bundle.fingerprint_sql()
    for statement in settings:
        await connection.execute(statement)
    rows = await connection.fetch(query)
    claimed = connection.get_server_version().major >= 16
    await connection.close()
    await drop_database(dsn)
    assert [list(row.keys()) for row in rows] == [["fingerprint"]]
    if claimed:
        assert rows[0]["fingerprint"] == meant


async def test_it_knows_tables_and_relations_without_asking(postgres_server: str) -> None:
    dsn = await make_database(postgres_server)
    connection = await asyncpg.connect(dsn)
    await connection.execute(RICH)
    live = await catalogue.read(connection)
    await connection.close()
    await drop_database(dsn)
    types = {each.name: each for each in bundle.types(live)}
    assert {each.kind for each in types.values()} >= {"enum", "domain"}
    assert all(each.labels for each in types.values() if each.kind == "enum")
    tables = {table.name: table for table in bundle.tables(live)}
    item, sale = tables["shop.item"], tables['shop."Sale of (it)"']
    assert item.primary_key == ("id",) and ("sha256",) in item.unique
    columns = {column.name: column for column in item.columns}
    assert columns["id"].identity and columns["total"].generated and columns["total"].default is None
    assert not columns["label"].nullable and columns["state"].default == "'queued'::text"
    assert sale.primary_key == ("item", "Number") and "shop.cheap" not in tables
    relations = {relation.name: relation for relation in bundle.relations(live)}
    far = relations['far "away"']
    assert far.table == '"Größe ""x"""."Tab.le ""q"""' and far.references == 'shop."Sale of (it)"'
    assert (far.columns, far.referenced, far.on_delete) == (("item", "Number"), ("item", "Number"), "set null")


def test_ours_is_read_back_as_it_was_written() -> None:
    ours = bundle.load(SCHEMA / "bundle.json")
    assert (SCHEMA / "bundle.json").read_text(encoding="utf-8") == ours.as_json()
    assert (SCHEMA / "bundle.schema.json").read_text(encoding="utf-8") == bundle.json_schema()
    songs = next(table for table in ours.tables if table.name == "public.songs")
    assert isinstance(songs, BundleTable) and songs.primary_key == ("id",)
    assert ours.fingerprint == ours.replica_fingerprint


def test_the_json_schema_names_every_field_and_no_other() -> None:
    schema = json.loads(bundle.json_schema())
    value = json.loads((SCHEMA / "bundle.json").read_bytes())
    assert set(schema["required"]) | {"version"} == set(value) == set(Bundle.model_fields)
    migration = schema["$defs"]["BundleMigration"]
    assert set(migration["required"]) == set(value["migrations"][0]) and migration["additionalProperties"] is False


def test_what_is_no_bundle_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no bundle at .*medley migrate compile"):
        bundle.load(tmp_path / "bundle.json")
    (tmp_path / "bundle.json").write_text('{"version": 2}')
    with pytest.raises(ConfigurationError, match="is not a bundle"):
        bundle.load(tmp_path / "bundle.json")
