"""The shape protocol over HTTP, as clients meet it: reads, headers, conditional requests, refusals, rotations."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.support import web
from tests.support.library import Library, until
from tests.support.shape_reads import caught_up, shape


@pytest_asyncio.fixture
async def http(library: Library) -> AsyncIterator[httpx.AsyncClient]:
    async with web.client(base_url=library.api, timeout=60) as client:
        yield client


@pytest_asyncio.fixture
async def table(database: asyncpg.Connection) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {name} (id int8 PRIMARY KEY, title varchar(40) NOT NULL, price numeric(8,2))")
    return name


async def test_the_four_reads(http: httpx.AsyncClient, database: asyncpg.Connection, table: str) -> None:
    await database.execute(f"INSERT INTO {table} VALUES (1, 'one', 1.5)")
    first = await shape(http, table)
    assert first.headers["electric-offset"] == "0_0"
    assert "electric-up-to-date" not in first.headers
    assert first.headers["cache-control"].startswith("public, max-age=604800")
    assert first.headers["electric-has-data"] == "true"
    row, end = first.json()
    assert row == {
        "key": f'"public"."{table}"/"1"',
        "value": {"id": "1", "title": "one", "price": "1.50"},
        "headers": {"operation": "insert", "relation": ["public", table]},
    }
    assert end["headers"]["control"] == "snapshot-end"
    assert int(end["headers"]["xmin"]) <= int(end["headers"]["xmax"])

    handle = first.headers["electric-handle"]
    second = await shape(http, table, offset="0_0", handle=handle)
    assert (second.headers["electric-offset"], second.headers["electric-up-to-date"]) == ("0_inf", "")
    assert second.headers["electric-has-data"] == "false"
    control = second.json()[0]["headers"]
    assert control["control"] == "up-to-date"
    assert isinstance(control["global_last_seen_lsn"], str)

    waiting = asyncio.create_task(shape(http, table, offset="0_inf", handle=handle, live="true", cursor=""))
    await asyncio.sleep(0.1)  # let it wait; were it not waiting yet, the answer would be the same
    await database.execute(f"UPDATE {table} SET title = 'uno' WHERE id = 1")
    live = await waiting
    assert "electric-schema" not in live.headers
    assert int(live.headers["electric-cursor"]) > 0
    assert live.headers["cache-control"] == "public, max-age=5, stale-while-revalidate=5"
    change, control = live.json()
    assert change["value"] == {"id": "1", "title": "uno"}
    headers = change["headers"]
    assert (headers["operation"], headers["last"], headers["op_position"]) == ("update", True, 0)
    assert live.headers["electric-offset"] == f"{headers['lsn']}_0"
    assert control["headers"]["global_last_seen_lsn"] == headers["lsn"]
    assert headers["txids"] == [int(await database.fetchval(f"SELECT xmin::text FROM {table} WHERE id = 1"))]

    now = await shape(http, table, offset="now")
    assert now.headers["electric-offset"] == live.headers["electric-offset"]
    assert [message["headers"]["control"] for message in now.json()] == ["up-to-date"]

    again = await shape(http, table, offset="0_inf", handle=handle)
    assert again.json()[0] == change


async def test_the_schema_header(http: httpx.AsyncClient, table: str) -> None:
    response = await shape(http, table)
    assert httpx.Response(200, content=response.headers["electric-schema"]).json() == {
        "id": {"type": "int8", "pk_index": 0, "not_null": True},
        "title": {"type": "varchar", "max_length": 40, "not_null": True},
        "price": {"type": "numeric", "precision": 8, "scale": 2},
    }


async def test_conditional_requests(http: httpx.AsyncClient, table: str) -> None:
    first = await shape(http, table)
    tag = first.headers["etag"]
    assert tag == f'"{first.headers["electric-handle"]}:-1:0_0"'
    again = await http.get(
        "/v1/shape", params={"table": table, "offset": "-1"}, headers={"if-none-match": f'"x", {tag}'}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_a_wrong_handle_is_led_to_the_right_one(http: httpx.AsyncClient, table: str) -> None:
    handle = (await shape(http, table)).headers["electric-handle"]
    for wrong in ("1-1", f"{handle}0", "%00", "ü"):
        response = await shape(http, table, offset="0_inf", handle=wrong)
        assert response.status_code == 409
        assert response.json() == [{"headers": {"control": "must-refetch"}}]
        assert response.headers["electric-handle"] == handle
    other = await shape(http, table, offset="0_inf", handle=handle, columns="id")
    assert other.status_code == 409
    assert other.headers["electric-handle"] != handle


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"offset": "bad"}, "offset", "has invalid format"),
        ({"columns": "title"}, "columns", "must include all primary key columns, missing: id"),
        ({"columns": "id,nope"}, "columns", "The following columns are not found on the table: nope"),
        ({"where": "nope = 1"}, "where", "unknown reference nope"),
        ({"where": "id = 'x'"}, "where", "invalid input syntax"),
        ({"where": "title = 1"}, "where", "operator does not exist"),
        ({"where": "id > random()"}, "where", "function random() is not immutable"),
        ({"table": "pg_class_view"}, "table", 'Table "public"."pg_class_view" does not exist'),
    ],
)
async def test_refusals(http: httpx.AsyncClient, table: str, params: dict[str, str], field: str, words: str) -> None:
    response = await shape(http, **{"table": table, **params})
    assert response.status_code == 400
    assert response.json()["message"] == "Invalid request"
    assert words in response.json()["errors"][field][0]
    assert response.headers["cache-control"] == "no-store"


async def test_a_view_is_refused(http: httpx.AsyncClient, database: asyncpg.Connection, table: str) -> None:
    await database.execute(f"CREATE VIEW v_{table} AS SELECT id FROM {table}")
    response = await shape(http, f"v_{table}")
    assert response.status_code == 400
    assert "is not a table" in response.json()["errors"]["table"][0]


async def test_methods_and_spellings_of_the_route(http: httpx.AsyncClient, table: str) -> None:
    query = f"table={table}&offset=-1"
    for path in ("/v1/shape/", "/v1//shape", "/v1/%73hape"):
        assert (await http.get(f"{path}?{query}")).status_code == 200
    head = await http.head(f"/v1/shape?{query}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["electric-offset"] == "0_0"
    options = await http.options("/v1/shape", headers={"origin": "http://example.org"})
    assert options.status_code == 204
    assert options.headers["access-control-allow-origin"] == "http://example.org"
    assert (await http.delete(f"/v1/shape?{query}")).status_code == 405
    assert (await http.get("/v1/nowhere")).status_code == 404


async def test_a_client_that_reads_in_its_own_time_gets_it_all(
    http: httpx.AsyncClient, database: asyncpg.Connection, table: str
) -> None:
    """Catch-up from every offset of the log gives exactly what came after it."""
    _, state = await caught_up(http, table)
    for number in range(20):
        await database.execute(f"INSERT INTO {table} VALUES ($1, 'x', 0)", number)

    async def all_there() -> bool:
        messages, _ = await caught_up(http, table)
        return sum("key" in message for message in messages) == 20

    await until(all_there, "20 rows are in the log")
    log = (await shape(http, table, **state)).json()[:-1]
    for place, message in enumerate(log):
        headers = message["headers"]
        offset = f"{headers['lsn']}_{headers['op_position']}"
        rest = (await shape(http, table, offset=offset, handle=state["handle"])).json()
        assert rest[:-1] == log[place + 1 :]


EVERY_TYPE = [
    ("bool", "true"),
    ("int2", "'-32768'"),
    ("int8", "'9223372036854775807'"),
    ("numeric", "'1234567890.12345678901234567890'"),
    ("numeric", "'NaN'"),
    ("float4", "'0.1'"),
    ("float8", "'-Infinity'"),
    ("float8", "'1e-300'"),
    ("text", "E'tab\\t newline\\n backslash \\\\ quote \" ü \\x01'"),
    ("varchar(5)", "'ab'"),
    ("char(5)", "'ab'"),
    ("bytea", "'\\x0001feff'"),
    ("uuid", "'6F9619FF-8B86-D011-B42D-00CF4FC964FF'"),
    ("date", "'infinity'"),
    ("time", "'23:59:59.999999'"),
    ("timetz", "'12:00+02'"),
    ("timestamp(3)", "'2026-01-02 03:04:05.678901'"),
    ("timestamptz", "'2026-01-02 03:04:05.6+02'"),
    ("interval", "'1 year 2 days 03:04:05.6'"),
    ("json", "'{\"a\" : [1,  null]}'"),
    ("jsonb", '\'{"b": "\\u00fc", "a": 1.0}\''),
    ("int4[]", "'{{1,2},{NULL,4}}'"),
    ("text[]", "ARRAY['a b', NULL, '\"', '']"),
    ("int4range", "'[1,5)'"),
    ("inet", "'10.0.0.1/8'"),
    ("point", "'(1.5,-2)'"),
    ("bit(4)", "B'1010'"),
    ("money", "'12.34'"),
    ("tsvector", "'fat cat'"),
    ("mood", "'so so'"),
    ("short_text", "'abc'"),
    ("pair", "'(1,\"x y\")'::pair"),
    ("pair[]", "ARRAY['(1,)'::pair]"),
]


async def test_every_type_is_the_same_in_snapshot_and_log(
    http: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TYPE mood AS ENUM ('so so', 'fine')")
    await database.execute("CREATE DOMAIN short_text AS text CHECK (length(value) < 9)")
    await database.execute("CREATE TYPE pair AS (n int, t text)")
    table = f"t_{secrets.token_hex(4)}"
    columns = ", ".join(f"c{number} {name}" for number, (name, _) in enumerate(EVERY_TYPE))
    values = ", ".join(value for _, value in EVERY_TYPE)
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, {columns}, big text)")
    await database.execute(f"ALTER TABLE {table} ALTER big SET STORAGE EXTERNAL")
    insert = f"INSERT INTO {table} SELECT $1, {values}, repeat('x', 20000)"
    await database.execute(insert, 1)
    snapshot, state = await caught_up(http, table)
    await database.execute(insert, 2)
    inserted = (await shape(http, table, **state, live="true")).json()[0]
    first = {**snapshot[0]["value"], "id": "2"}
    assert inserted["value"] == first

    _, state = await caught_up(http, table, replica="full")
    await database.execute(f"UPDATE {table} SET c1 = 7 WHERE id = 2")
    updated = (await shape(http, table, **state, replica="full", live="true")).json()[0]
    assert updated["value"] == {**first, "c1": "7"}, "what lies out of line comes from the old row"
    assert updated["old_value"] == {"c1": "-32768"}


async def test_a_composite_key_and_no_key(http: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    table = f"t_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {table} (a text, b int, c text, PRIMARY KEY (b, a))")
    await database.execute(f"INSERT INTO {table} VALUES ('x/y', 1, 'c')")
    response = await shape(http, table)
    assert response.json()[0]["key"] == f'"public"."{table}"/"1"/"x//y"'
    schema = httpx.Response(200, content=response.headers["electric-schema"]).json()
    assert (schema["b"]["pk_index"], schema["a"]["pk_index"], "pk_index" in schema["c"]) == (0, 1, False)

    unkeyed = f"{table}_unkeyed"
    await database.execute(f"CREATE TABLE {unkeyed} (b text, a text)")
    _, state = await caught_up(http, unkeyed)
    await database.execute(f"INSERT INTO {unkeyed} VALUES ('1', NULL)")
    change = (await shape(http, unkeyed, **state, live="true")).json()[0]
    assert change["key"] == f'"public"."{unkeyed}"/_/"1"'


async def test_waiting_clients_are_told_when_the_shape_goes(
    http: httpx.AsyncClient, database: asyncpg.Connection, table: str
) -> None:
    _, state = await caught_up(http, table)
    waiting = [asyncio.create_task(shape(http, table, **state, live="true")) for _ in range(3)]
    await asyncio.sleep(0.1)  # let them wait; were one not waiting yet, its answer would be the same
    await database.execute(f"TRUNCATE {table}")
    answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} == {409}
    handles = {answer.headers["electric-handle"] for answer in answers}
    assert len(handles) == 1
    assert state["handle"] not in handles
    assert (await shape(http, table)).headers["electric-handle"] in handles


async def test_chunks(http: httpx.AsyncClient, database: asyncpg.Connection, table: str) -> None:
    """A snapshot of several parts comes in several responses, each row once."""
    await database.execute(f"INSERT INTO {table} SELECT g, repeat('x', 40), 0 FROM generate_series(1, 100000) g")
    messages, _ = await caught_up(http, table)
    assert [m["value"]["id"] for m in messages if "key" in m] == [str(n) for n in range(1, 100_001)]
    first = await shape(http, table)
    assert 10_485_760 <= len(first.content) < 11_500_000, "a chunk closes with the part that makes it large enough"
