"""No subset reaches beyond its shape, whatever is written in it; names and values are any that Postgres has."""

from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest
import pytest_asyncio

from medley.runtime.postgres import SESSION, open_pool
from medley.sql.copy_text import fields
from medley.sql.quoting import quote_identifier
from services.api.shape.asked import SubsetAsked
from services.api.shape.response import Response
from services.api.shape.subset import Subsets
from services.sync.entries import Encoder
from tests.support.migrated import postgres_settings
from tests.support.subsets import body_of, record_of, refusal, rows

NOTES = """
CREATE TABLE notes (id int PRIMARY KEY, owner text, body text, secret text);
INSERT INTO notes VALUES (1, 'ann', '1', 'hers'), (2, 'bob', 'not a number', 'his');
CREATE TABLE victims (id int PRIMARY KEY);
INSERT INTO victims VALUES (1);
"""
ANNS = (("owner", "text", "ann"),)


@pytest_asyncio.fixture(scope="module")
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    opened = await open_pool(postgres_settings(postgres_dsn), "test")
    await opened.execute(NOTES)
    yield opened
    await opened.close()


@pytest.fixture
def subsets(pool: asyncpg.Pool) -> Subsets:
    return Subsets(pool)


@pytest_asyncio.fixture
async def connection(pool: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(postgres_dsn, server_settings=SESSION)
    yield opened
    await opened.close()


INJECTED = (
    "true) OR (true",
    "true) UNION SELECT 1, secret, secret, secret FROM notes --",
    "true); DELETE FROM victims; --",
    "true)) TO '/tmp/x'; --",
    "true --",
    "true /* ",
    "'a\\' OR true --'",
    "E'\\' OR true --'",
    "true LIMIT 1) AS x, victims --",
    "id = 1 \n) OR (id = 2",
    "$$ ) OR true -- $$ = body",
    "$1",
    "body = $1",
    "body = $1::text || $1",
    "secret IS NOT NULL",
    "notes::text LIKE '%his%'",
    "to_jsonb(notes)->>'secret' = 'his'",
    "(SELECT secret FROM notes WHERE id = 2) = 'his'",
    "\ufeffid = 2",
    "ﹶ' OR 1=1 --",
)
VALUES = ("x", "'; DELETE FROM victims; --", "\\'; DELETE FROM victims; --", "$1", "') OR (true", "\n--", "{}", "")


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_nothing_that_is_written_leaves_its_place(
    postgres_dsn: str, connection: asyncpg.Connection, conforming: str
) -> None:
    settings = {"standard_conforming_strings": conforming}
    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=2, server_settings=settings) as pool:
        subsets = Subsets(pool)
        record = await record_of(connection, "notes", ANNS, columns=("id", "owner", "body"))
        for text in INJECTED:
            for value in VALUES:
                for asked in (
                    SubsetAsked(text, (value,), queryable=("id", "owner", "body")),
                    SubsetAsked(None, (value,), order_by=text, queryable=("id", "owner", "body")),
                ):
                    answer = await subsets.answer(record, asked)
                    if isinstance(answer, Response):
                        assert answer.status == 400
                        assert b"his" not in answer.body
                        continue
                    found = [item["value"] for item in orjson.loads(await body_of(answer))["data"]]
                    assert found in ([], [{"id": "1", "owner": "ann", "body": "1"}]), (text, value)
        assert await connection.fetchval("SELECT count(*) FROM victims") == 1


async def test_an_error_tells_nothing_of_rows_outside_of_the_shape(
    subsets: Subsets, connection: asyncpg.Connection
) -> None:
    record = await record_of(connection, "notes", ANNS)
    await connection.execute("ANALYZE notes")
    assert [row["id"] for row in await rows(subsets, record, "body::int = 1")] == ["1"]
    assert [row["id"] for row in await rows(subsets, record, "body::int::bool AND id < 10")] == ["1"]
    everything = await record_of(connection, "notes")
    assert "not a number" in (await refusal(subsets, everything, "body::int = 1"))["where"][0]


async def test_only_queryable_columns_can_be_asked_for(subsets: Subsets, connection: asyncpg.Connection) -> None:
    record = await record_of(connection, "notes", columns=("id", "body"))
    allowed = ("id", "body", "owner")
    assert len(await rows(subsets, record, "owner = 'bob'", queryable=allowed, order_by="owner")) == 1
    assert len(await rows(subsets, record, "secret = 'his'")) == 1  # without a list, every column of the table
    for where in ("secret = 'his'", "notes.secret = 'his'", "(notes).secret = 'his'"):
        assert "unknown reference" in (await refusal(subsets, record, where, queryable=allowed))["where"][0]
    assert await rows(subsets, record, "notes::text LIKE '%his%'", queryable=allowed) == []
    assert "order_by" in await refusal(subsets, record, order_by="secret", queryable=allowed)
    assert "queryable_columns" in await refusal(subsets, record, queryable=("id",))
    assert "queryable_columns" in await refusal(subsets, record, queryable=("id", "body", "nope"))


ODD = ('"', "Capital", "two words", "1st", "sélect", "select", "a.b/c", "'; --", "$1", "日本", "x" * 63, "\\", "%s{0}")


@pytest.mark.parametrize("name", ODD)
async def test_odd_names(subsets: Subsets, connection: asyncpg.Connection, name: str) -> None:
    quoted = quote_identifier(name)
    await connection.execute(f"CREATE SCHEMA {quoted}")
    await connection.execute(f"CREATE TABLE {quoted}.{quoted} ({quoted} text PRIMARY KEY)")
    await connection.execute(f"INSERT INTO {quoted}.{quoted} VALUES ('a'), ('b'), ('c')")
    record = await record_of(connection, name, ((name, "text", "b"),), schema=name)
    everything = await record_of(connection, name, schema=name)
    assert await rows(subsets, record, f"{quoted} = $1 AND {quoted}.{quoted} > 'a'", "b") == [{name: "b"}]
    found = await rows(subsets, everything, f"{quoted} <> 'a'", order_by=f"{quoted}.{quoted} DESC", limit=1)
    assert found == [{name: "c"}]


async def test_partitions_and_inheritance(subsets: Subsets, connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    await connection.execute("CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (10)")
    await connection.execute("CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (10) TO (20)")
    await connection.execute("INSERT INTO parts VALUES (1), (11)")
    assert len(await rows(subsets, await record_of(connection, "parts"), "id > 0")) == 2
    await connection.execute("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent)")
    await connection.execute("INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)")
    assert await rows(subsets, await record_of(connection, "parent"), "id > 0") == [{"id": "1"}]


TYPED = {
    **{"bool": "true", "int2": "-1", "int8": "9223372036854775807", "float4": "1.1", "float8": "'-Infinity'"},
    **{
        "numeric": "1.50",
        "text": "E'tab\\tline\\nback\\\\slash \"q\" é 😀'",
        "char(5)": "'ab'",
        "bytea": "'\\x0001ff'",
    },
    **{"json": "'{\"a\" :1}'", "jsonb": "'{\"a\" :1}'", "date": "'2026-01-02'", "time": "'01:02:03.4'"},
    **{"timestamptz": "'2026-01-02 03:04:05.6+02'", "interval": "'1 day 2 hours'", "uuid": "gen_random_uuid()"},
    **{"text[]": "ARRAY['a,b', NULL, '\"']", "int[]": "'{{1,2},{3,4}}'", "point": "'(1,2)'", "inet": "'10.0.0.1'"},
    **{"int4range": "'[1,5)'", "tsvector": "'a b'", "money": "1.5", "bit(3)": "B'101'"},
}


async def test_values_are_those_of_the_snapshot_byte_for_byte(subsets: Subsets, connection: asyncpg.Connection) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPED))
    await connection.execute(f"CREATE TABLE typed (id int PRIMARY KEY, {columns})")
    await connection.execute(f"INSERT INTO typed VALUES (1, {', '.join(TYPED.values())})")
    await connection.execute("INSERT INTO typed VALUES (2)")
    record = await record_of(connection, "typed")
    copied: list[bytes] = []

    async def keep(block: bytes) -> None:
        copied.append(block)

    await connection.copy_from_query("SELECT * FROM typed ORDER BY id", output=keep, format="text")
    lines = b"".join(copied).decode().split("\n")[:-1]
    written = [orjson.loads(Encoder(record, None).snapshot_entry(fields(line))) for line in lines]
    answer = await subsets.answer(record, SubsetAsked("id > 0", order_by="id"))
    found = orjson.loads(await body_of(answer))["data"]
    assert [(item["key"], list(item["value"].items())) for item in found] == [
        (item["key"], list(item["value"].items())) for item in written
    ]
