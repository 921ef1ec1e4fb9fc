"""How shapes are served beside the plain reads: events, deletion, admission, secrets, caches, what is no request."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio

from tests.support import web
from tests.support.library import Library, running_library, until
from tests.support.shape_reads import caught_up, shape

SECRET = "the secret"
KEEPS = {"API_LONG_POLL_SECONDS": "3", "API_SSE_SECONDS": "4", "API_ALLOW_SHAPE_DELETION": "true"}


@pytest_asyncio.fixture(scope="module")
async def impatient(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    """A library whose live requests end soon, with little room, and with deletion allowed."""
    logs = tmp_path_factory.mktemp("impatient")
    room = {"API_MAX_LIVE_REQUESTS": "6", "API_MAX_INITIAL_REQUESTS": "4", "API_SHAPE_CHUNK_BYTES": "1000"}
    caching = {"API_CACHE_MAX_AGE": "7", "API_CACHE_STALE_AGE": "8", "API_SECRET": SECRET}
    async with running_library(postgres_dsn, fresh_nats_url, logs, **KEEPS, **room, **caching) as running:
        yield running


@pytest_asyncio.fixture
async def http(impatient: Library) -> AsyncIterator[httpx.AsyncClient]:
    async with web.client(base_url=impatient.api, timeout=30, params={"secret": SECRET}) as client:
        yield client


@pytest_asyncio.fixture
async def sql(impatient: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await impatient.connect()
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def table(sql: asyncpg.Connection) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await sql.execute(f"CREATE TABLE {name} (id int8 PRIMARY KEY, title text)")
    return name


class Events:
    """An open stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def until_up_to_date(self) -> list[dict[str, Any]]:
        """The messages up to and without the next up-to-date."""
        found: list[dict[str, Any]] = []
        async for line in self._lines:
            if not line.startswith("data: "):
                assert line in ("", ": keep-alive")
                continue
            message = orjson.loads(line[6:])
            if message["headers"].get("control") == "up-to-date":
                assert message["headers"]["global_last_seen_lsn"].isdigit()
                return [*found, message]
            found.append(message)
        raise AssertionError("the stream ended")

    async def end(self) -> list[str]:
        return [line async for line in self._lines if line]


@contextlib.asynccontextmanager
async def events(http: httpx.AsyncClient, table: str, **params: Any) -> AsyncIterator[Events]:
    query = {"table": table, "live": "true", "live_sse": "true", "experimental_live_sse": "true", **params}
    async with http.stream("GET", "/v1/shape", params=query) as response:
        yield Events(response)


async def test_events_come_as_they_happen(http: httpx.AsyncClient, sql: asyncpg.Connection, table: str) -> None:
    _, state = await caught_up(http, table)
    async with events(http, table, **state) as stream:
        headers = stream.response.headers
        assert stream.response.status_code == 200
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "public, max-age=3"
        assert (headers["electric-handle"], headers["electric-offset"]) == (state["handle"], state["offset"])
        assert int(headers["electric-cursor"]) > 0
        assert "electric-schema" not in headers
        assert "content-length" not in headers
        await sql.execute(f"INSERT INTO {table} VALUES (1, E'line\\nend'), (2, NULL)")
        first, second, _ = await stream.until_up_to_date()
        assert (first["value"]["title"], second["headers"]["last"]) == ("line\nend", True)
        await sql.execute(f"DELETE FROM {table} WHERE id = 2")
        deleted, control = await stream.until_up_to_date()
        assert (deleted["headers"]["operation"], deleted["value"]) == ("delete", {"id": "2"})
        assert control["headers"]["global_last_seen_lsn"] == deleted["headers"]["lsn"]
        assert await stream.end() == [], "it is closed in time"


async def test_a_stream_that_goes_on_repeats_nothing(
    http: httpx.AsyncClient, sql: asyncpg.Connection, table: str
) -> None:
    """The client makes its offset of the last up-to-date: `<LSN>_0`, whatever the transaction's size was."""
    _, state = await caught_up(http, table)
    async with events(http, table, **state) as stream:
        await sql.execute(f"INSERT INTO {table} SELECT g FROM generate_series(1, 5) g")
        *rows, control = await stream.until_up_to_date()
        assert len(rows) == 5
    offset = f"{control['headers']['global_last_seen_lsn']}_0"
    async with events(http, table, handle=state["handle"], offset=offset) as stream:
        assert stream.response.headers["electric-offset"] == offset
        await sql.execute(f"INSERT INTO {table} VALUES (6)")
        only, _ = await stream.until_up_to_date()
        assert only["value"]["id"] == "6"


async def test_a_stream_can_begin_anywhere(http: httpx.AsyncClient, sql: asyncpg.Connection, table: str) -> None:
    await sql.execute(f"INSERT INTO {table} SELECT g, repeat('x', 100) FROM generate_series(1, 30) g")
    first = await shape(http, table)
    assert len(first.json()) < 30, "it has several chunks"
    await sql.execute(f"INSERT INTO {table} VALUES (31)")
    async with events(http, table, offset="0_0", handle=first.headers["electric-handle"]) as stream:
        *rest, _ = await stream.until_up_to_date()
    found = [message["value"]["id"] for message in [*first.json(), *rest] if "key" in message]
    assert found == [str(number) for number in range(1, 32)]


async def test_a_stream_ends_when_its_shape_goes(http: httpx.AsyncClient, sql: asyncpg.Connection, table: str) -> None:
    _, state = await caught_up(http, table)
    async with events(http, table, **state) as stream:
        await sql.execute(f"TRUNCATE {table}")
        assert await stream.end() == []
    again = await shape(http, table, **state, live="true", live_sse="true")
    assert again.status_code == 409
    assert again.headers["electric-handle"] != state["handle"]


async def test_events_need_a_live_request(http: httpx.AsyncClient, table: str) -> None:
    for name in ("live_sse", "experimental_live_sse"):
        refused = await shape(http, table, **{name: "true"})
        assert refused.status_code == 400
        assert refused.json()["errors"] == {"live_sse": ["can't be true unless live is also true"]}


async def test_chunks_are_cut_by_the_row_that_makes_them_large_enough(
    http: httpx.AsyncClient, sql: asyncpg.Connection, table: str
) -> None:
    await sql.execute(f"INSERT INTO {table} SELECT g, repeat('x', 100) FROM generate_series(1, 100) g")
    offsets, sizes, rows = [], [], []
    state = {"offset": "-1"}
    while True:
        response = await shape(http, table, **state)
        offsets.append(response.headers["electric-offset"])
        if "electric-up-to-date" in response.headers:
            break
        sizes.append(len(response.content))
        rows += [message["value"]["id"] for message in response.json() if "key" in message]
        state = {"offset": offsets[-1], "handle": response.headers["electric-handle"]}
    assert offsets == [*(f"0_{number}" for number in range(len(offsets) - 1)), "0_inf"]
    assert rows == [str(number) for number in range(1, 101)]
    row = len(orjson.dumps(response.json()[0])) + 250
    assert all(1000 <= size < 1000 + row for size in sizes[:-1]), sizes


async def test_chunks_of_a_log(http: httpx.AsyncClient, sql: asyncpg.Connection, table: str) -> None:
    _, state = await caught_up(http, table)
    await sql.execute(f"INSERT INTO {table} SELECT g, repeat('x', 100) FROM generate_series(1, 50) g")

    async def arrived() -> bool:
        return len((await shape(http, table, **state)).json()) > 1

    await until(arrived, "the transaction is in the log")
    messages, _ = await _catch_up(http, table, state)
    assert [message["value"]["id"] for message in messages if "key" in message] == [str(n) for n in range(1, 51)]
    assert sum("control" in message["headers"] for message in messages) == 1


async def _catch_up(http: httpx.AsyncClient, table: str, state: dict[str, str]) -> tuple[list[Any], dict[str, str]]:
    messages: list[Any] = []
    while True:
        response = await shape(http, table, **state)
        messages += response.json()
        assert state["offset"] != response.headers["electric-offset"], "every answer leads on"
        state = {**state, "offset": response.headers["electric-offset"]}
        if "electric-up-to-date" in response.headers:
            return messages, state


async def test_a_quiet_live_request_ends_up_to_date(http: httpx.AsyncClient, table: str) -> None:
    _, state = await caught_up(http, table)
    live = await shape(http, table, **state, live="true", cursor="5")
    assert [message["headers"]["control"] for message in live.json()] == ["up-to-date"]
    assert live.headers["electric-up-to-date"] == ""
    assert live.headers["electric-has-data"] == "false"
    assert live.headers["electric-offset"] == state["offset"]
    ahead = 10**12
    later = await shape(http, table, **state, live="true", cursor=str(ahead))
    assert ahead < int(later.headers["electric-cursor"]) <= ahead + 3600


async def test_caching_is_as_set(http: httpx.AsyncClient, table: str) -> None:
    _, state = await caught_up(http, table)
    response = await shape(http, table, **state)
    assert response.headers["cache-control"] == "public, max-age=7, stale-while-revalidate=8"
    assert response.headers["vary"] == "origin, authorization"
    posted = await http.post("/v1/shape", params={"table": table, **state})
    assert posted.headers["cache-control"] == "no-cache"
    assert [message["headers"]["control"] for message in (*posted.json(), *response.json())] == ["up-to-date"] * 2


async def test_a_shape_is_deleted(http: httpx.AsyncClient, table: str) -> None:
    _, state = await caught_up(http, table)
    requests = {asyncio.create_task(shape(http, table, **state, live="true")) for _ in range(7)}
    (surplus,), waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
    assert surplus.result().status_code == 503, "the other six wait, which is all there is room for"
    deleted = await http.delete("/v1/shape", params={"table": table})
    assert (deleted.status_code, deleted.content) == (202, b"")
    for answer in await asyncio.gather(*waiting):
        assert answer.status_code == 409
        assert "electric-handle" not in answer.headers, "deleting it does not make it again"
        assert answer.headers["cache-control"] == "max-age=1"
    assert (await http.delete("/v1/shape", params={"table": table})).status_code == 404
    fresh = await shape(http, table)
    assert fresh.headers["electric-handle"] != state["handle"]
    assert (await shape(http, table, **state)).headers["electric-handle"] == fresh.headers["electric-handle"]
    handle = fresh.headers["electric-handle"]
    other = (await shape(http, table, columns="id")).headers["electric-handle"]
    assert (await http.delete("/v1/shape", params={"table": table, "handle": other})).status_code == 400
    assert (await http.delete("/v1/shape", params={"table": table, "handle": "1-1"})).status_code == 404
    assert (await http.delete("/v1/shape", params={"handle": handle})).status_code == 202
    assert (await http.delete("/v1/shape", params={"handle": handle})).status_code == 404
    assert (await http.delete("/v1/shape")).status_code == 400


async def test_there_is_room_for_so_many_and_who_leaves_makes_room(
    impatient: Library, http: httpx.AsyncClient, table: str
) -> None:
    _, state = await caught_up(http, table)
    async with contextlib.AsyncExitStack() as streams:
        for _ in range(6):
            client = await streams.enter_async_context(
                web.client(base_url=impatient.api, timeout=30, params={"secret": SECRET})
            )
            await streams.enter_async_context(events(client, table, **state))
        refused = await shape(http, table, **state, live="true")
        assert refused.status_code == 503
        assert 6 <= int(refused.headers["retry-after"]) <= 10
        assert refused.headers["electric-internal-known-error"] == "true"
        assert refused.json()["code"] == "concurrent_request_limit_exceeded"
        assert refused.headers["cache-control"] == "no-store"
        assert (await shape(http, table)).status_code == 200, "who starts anew is counted apart"

    async def room() -> bool:
        return (await shape(http, table, **state)).status_code == 200

    await until(room, "those who left made room", 2)


async def test_the_secret(impatient: Library, table: str) -> None:
    async with web.client(base_url=impatient.api) as stranger:
        query = {"table": table, "offset": "-1"}
        for given in ({}, {"secret": "wrong"}, {"api_secret": ""}):
            for path in ("/v1/shape", "//v1//shape/", "/v1/%73hape", "/v1%2Fshape", "/v1/ingest/x", "/nowhere"):
                answer = await stranger.get(path, params={**query, **given})
                assert answer.status_code == 401, path
                assert answer.json() == {"message": "Unauthorized - Invalid API secret"}
        for method in ("POST", "DELETE", "HEAD", "PUT"):
            assert (await stranger.request(method, "/v1/shape", params=query)).status_code == 401
        for good in ({"secret": SECRET}, {"api_secret": SECRET}):
            assert (await stranger.get("/v1/shape", params={**query, **good})).status_code == 200
        bearer = {"authorization": f"Bearer {SECRET}"}
        assert (await stranger.get("/v1/shape", params=query, headers=bearer)).status_code == 200
        assert (await stranger.get("/v1/health")).status_code == 200
        preflight = await stranger.options("/v1/shape", headers={"origin": "https://a.example"})
        assert preflight.status_code == 204
        allowed = preflight.headers["access-control-allow-headers"].split(",")
        assert {"authorization", "content-type", "if-none-match"} <= set(allowed)
        assert preflight.headers["access-control-max-age"] == "86400"


async def raw(library: Library, request: bytes) -> bytes:
    """Send bytes as they are; what the server says until it closes."""
    address = urlsplit(library.api)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        said = b""
        with contextlib.suppress(ConnectionResetError):  # by a server that has not read all of it
            async with asyncio.timeout(20):
                while data := await reader.read(65_536):
                    said += data
        return said
    finally:
        writer.close()


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/shape?table=%zz&offset=-1",
        b"/v1/shape?%",
        b"/v1/shape?table=%ff%fe&offset=-1",
        b"/v1/%zzshape?table=t",
        b"/v1/shape?table=t&offset=-1&params[1]=%00",
        b"/v1/shape?table=t&offset=-1&where=\xff",
        b"/v1/shape?&&&===&;;",
        b"/v1/shape#fragment",
        b"//v1///shape//?table=nope&offset=-1",
        b"/v1/./shape/../shape?table=nope&offset=-1",
        b"/%00",
        b"/v1/shape?" + b"a=1&" * 20_000,
    ],
)
async def test_no_target_is_an_error_of_ours(impatient: Library, target: bytes) -> None:
    said = await raw(
        impatient,
        b"GET " + target + b" HTTP/1.1\r\nhost: x\r\nauthorization: bearer the secret\r\nconnection: close\r\n\r\n",
    )
    assert re.match(rb"HTTP/1.1 4\d\d ", said), said[:200]


async def test_a_head_without_end_is_refused(impatient: Library) -> None:
    for start in (b"GET /v1/shape?where=", b"GET / HTTP/1.1\r\nx: "):
        assert (await raw(impatient, start + b"x" * 3_000_000)).startswith(b"HTTP/1.1 400 ")


async def test_a_body_has_a_limit(http: httpx.AsyncClient, table: str) -> None:
    body = b'{"where": "' + b"x" * (8 * 1024 * 1024) + b'"}'
    answer = await http.post("/v1/shape", params={"table": table, "offset": "-1"}, content=body)
    assert answer.status_code == 413
    for wrong in (b"{", b"[]", b"7", b"\xff"):
        answer = await http.post("/v1/shape", params={"table": table, "offset": "-1"}, content=wrong)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["body"])


INJECTIONS = [
    "'; DROP TABLE {table}; --",
    '"; DROP TABLE {table}; --',
    '{table}"; DROP TABLE {table}; --',
    "1) OR true; DROP TABLE {table}; --",
    "id = 1; DROP TABLE {table}",
    "id = (SELECT 1 FROM pg_sleep(30))",
    "$1; DROP TABLE {table}",
    "id = 1 UNION SELECT 1",
    "\x00",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    "%s %d {0} ${{x}}",
    "../../etc/passwd",
]


@pytest.mark.parametrize("field", ["table", "where", "columns", "offset", "handle", "params[1]", "replica", "log"])
@pytest.mark.parametrize("text", INJECTIONS)
async def test_nothing_gets_in_through_a_parameter(
    http: httpx.AsyncClient, sql: asyncpg.Connection, table: str, field: str, text: str
) -> None:
    given = {field: text.replace("{table}", table)}
    if field == "params[1]":
        given["where"] = "title = $1"
    answer = await shape(http, **{"table": table, **given})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        assert field in ("handle", "params[1]"), "what is ignored, and what is but a value"
    assert await sql.fetchval("SELECT to_regclass($1) IS NOT NULL", table)


async def test_a_clause_that_is_too_long_is_refused(impatient: Library, table: str) -> None:
    longest = "title = '" + "ü" * 32_000 + "'"
    for clause, status in ((longest, b"200"), (longest + " " * 2000, b"400")):
        target = f"/v1/shape?table={table}&offset=-1&secret={quote(SECRET)}&where={quote(clause)}"
        said = await raw(impatient, b"GET " + target.encode() + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 " + status)
        assert status == b"200" or b"is longer than 65536 bytes" in said


async def test_an_offset_that_was_never_reached_is_out_of_bounds(http: httpx.AsyncClient, table: str) -> None:
    _, state = await caught_up(http, table)
    for live in ({}, {"live": "true"}, {"live": "true", "live_sse": "true"}):
        answer = await shape(http, table, **{**state, "offset": f"{2**62}_0"}, **live)
        assert answer.status_code == 400
        assert answer.json()["errors"] == {"offset": ["out of bounds for this shape"]}


async def test_changes_only_begins_with_nothing(http: httpx.AsyncClient, sql: asyncpg.Connection, table: str) -> None:
    await sql.execute(f"INSERT INTO {table} VALUES (1)")
    messages, state = await caught_up(http, table, log="changes_only")
    assert [message["headers"].get("control") for message in messages] == ["snapshot-end", "up-to-date"]
    await sql.execute(f"UPDATE {table} SET title = 'x'")
    live = await shape(http, table, **state, log="changes_only", live="true")
    assert live.json()[0]["headers"]["operation"] == "update"
    full = await shape(http, table)
    assert full.headers["electric-handle"] != state["handle"], "it is part of what the shape is"


async def test_queryable_columns_stand_in_for_columns(http: httpx.AsyncClient, table: str) -> None:
    answer = await shape(http, table, queryable_columns="id")
    assert list(orjson.loads(answer.headers["electric-schema"])) == ["id"]
    hidden = await shape(http, table, queryable_columns="id", columns="id,title")
    assert "title" in hidden.json()["errors"]["columns"][0]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_subset_says_where_to_go_on(
    http: httpx.AsyncClient, sql: asyncpg.Connection, table: str, method: str
) -> None:
    await sql.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b'), (3, 'b')")
    _, state = await caught_up(http, table)
    wanted = {"where": "title = $1", "params": {"1": "b"}, "order_by": "id DESC", "limit": 1}
    if method == "POST":
        answer = await http.post("/v1/shape", params={"table": table, **state}, json=wanted)
    else:
        query = {f"subset__{name}": value for name, value in wanted.items()}
        query["subset__params"] = orjson.dumps(wanted["params"]).decode()
        answer = await shape(http, table, **state, **query)
    assert answer.status_code == 200, answer.text
    assert [row["value"] for row in answer.json()["data"]] == [{"id": "3", "title": "b"}]
    headers = answer.headers
    assert (headers["electric-handle"], headers["electric-offset"]) == (state["handle"], state["offset"])
    assert headers["electric-snapshot"] == "true"
    assert "id" in orjson.loads(headers["electric-schema"])
    assert headers["cache-control"] == "no-cache"
    assert "etag" not in headers
    anew = await shape(http, table, offset="now", log="changes_only", subset__where="id = 1")
    assert anew.headers["electric-offset"] == "0_inf", "where a stream of changes begins that lacks none"
    moved = await http.post("/v1/shape", params={"table": table, **state, "handle": "1-1"}, json=wanted)
    assert (moved.status_code, moved.headers["electric-handle"]) == (409, state["handle"])


async def test_subset_refusals_name_the_field_below_subset(http: httpx.AsyncClient, table: str) -> None:
    for query, field in (
        ({"subset__where": "nope = 1"}, "where"),
        ({"subset__where": "id = 'x'"}, "where"),
        ({"subset__limit": "1"}, "order_by"),
        ({"subset__order_by": "id + 1"}, "order_by"),
        ({"subset__where": "title = $1"}, "params"),
    ):
        answer = await shape(http, table, offset="now", **query)
        assert answer.status_code == 400, query
        assert list(answer.json()["errors"]["subset"]) == [field]


async def test_a_handle_that_was_refused_is_never_served_again(
    http: httpx.AsyncClient, sql: asyncpg.Connection, table: str
) -> None:
    """A subset sees that the table was altered before sync does."""
    _, state = await caught_up(http, table)
    await sql.execute(f"ALTER TABLE {table} ALTER title TYPE varchar(9)")
    refused = await shape(http, table, **state, subset__where="true")
    assert refused.status_code == 409
    assert refused.headers["electric-handle"] != state["handle"]
    assert (await shape(http, table)).headers["electric-handle"] == refused.headers["electric-handle"]
    again = await shape(http, table, **{**state, "handle": refused.headers["electric-handle"]}, subset__where="true")
    assert again.status_code == 200
