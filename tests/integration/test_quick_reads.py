"""Reads that are answered from memory without the application say what it says, and leave to it all that is not so
simple."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import asyncpg
import orjson
import pytest
import pytest_asyncio

from tests.support.library import Library, until

_THE_APPLICATIONS = {"if-none-match": '"something else"'}
"""A header by which a read is the application's."""
_EACH_ITS_OWN = ("date", "etag", "electric-cursor")


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    named: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.named = dict(self.headers)


class Connection:
    """One connection, and what is sent over it, by bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def ask(self, *queries: dict[str, str], **headers: str) -> None:
        """In one piece."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        for query in queries:
            self._writer.write(f"GET /v1/shape?{urlencode(query)} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())

    async def answer(self) -> Answer:
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 30)).decode("latin-1")
        status, *lines = head.split("\r\n")[:-2]
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        body = await self._reader.readexactly(int(dict(headers)["content-length"]))
        return Answer(int(status.split()[1]), headers, body)

    async def of(self, query: dict[str, str], **headers: str) -> Answer:
        self.ask(query, **headers)
        return await self.answer()


@asynccontextmanager
async def connected(library: Library) -> AsyncIterator[Connection]:
    address = urlsplit(library.api)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    yield Connection(reader, writer)
    writer.close()


@pytest_asyncio.fixture
async def sql(library: Library) -> AsyncIterator[asyncpg.Connection]:
    connection = await library.connect()
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def table(sql: asyncpg.Connection) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await sql.execute(f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} SELECT generate_series(1, 5)")
    return name


@pytest_asyncio.fixture
async def one(library: Library) -> AsyncIterator[Connection]:
    async with connected(library) as connection:
        yield connection


async def caught_up(one: Connection, table: str) -> dict[str, str]:
    """The query that goes on at the end of the log."""
    query = {"table": table, "offset": "-1"}
    while True:
        answer = await one.of(query)
        assert answer.status == 200
        query |= {"offset": answer.named["electric-offset"], "handle": answer.named["electric-handle"]}
        if "electric-up-to-date" in answer.named:
            return query


def but_for_its_own(answer: Answer) -> tuple[int, list[tuple[str, str]], object]:
    headers = [(name, value if name not in _EACH_ITS_OWN else "") for name, value in answer.headers]
    said = orjson.loads(answer.body)
    for message in said if isinstance(said, list) else ():
        message["headers"].pop("global_last_seen_lsn", None)
    return answer.status, headers, said


@pytest.mark.parametrize("origin", [{}, {"origin": "https://example.org"}])
async def test_they_say_what_the_application_says(
    one: Connection, sql: asyncpg.Connection, table: str, origin: dict[str, str]
) -> None:
    at_end = await caught_up(one, table)
    await sql.execute(f"INSERT INTO {table} VALUES (6)")
    assert (await one.of({**at_end, "live": "true"})).named["electric-has-data"] == "true"
    asked = [
        {"table": table, "offset": "-1"},
        {"table": table, "offset": "now"},
        at_end,
        {**at_end, "live": "true", "cursor": "7"},
        {**at_end, "offset": "0_0"},
        {**at_end, "handle": "1-1"},
        {"table": table, "offset": "-1", "handle": "1-1"},
        {"table": table, "offset": "0_0"},
        {"table": table, "offset": "-1", "live": "true"},
        {"table": table, "offset": "-1", "live_sse": "true"},
        {"table": "no_such_table", "offset": "-1"},
    ]
    for query in asked:
        quick, slow = [but_for_its_own(await one.of(query, **origin, **more)) for more in ({}, _THE_APPLICATIONS)]
        assert quick == slow, query


async def test_requests_that_are_sent_together_are_answered_in_order(
    one: Connection, sql: asyncpg.Connection, table: str
) -> None:
    """Also when the first one waits, and the second one does not."""
    at_end = await caught_up(one, table)
    one.ask({**at_end, "live": "true"}, {"table": table, "offset": "-1"}, {**at_end, "live": "true"})
    await sql.execute(f"INSERT INTO {table} VALUES (7)")
    first, second, third = [await one.answer() for _ in range(3)]
    assert [message["value"] for message in orjson.loads(first.body)[:-1]] == [{"id": "7"}]
    assert len(orjson.loads(second.body)) == 6 and second.named["electric-offset"] == "0_0"
    assert third.body == first.body


async def test_who_waits_is_answered_when_the_shape_goes(
    library: Library, one: Connection, sql: asyncpg.Connection, table: str
) -> None:
    at_end = await caught_up(one, table)
    async with connected(library) as other:
        for each in (one, other):
            each.ask({**at_end, "live": "true"})
        await sql.execute(f"TRUNCATE {table}")
        for each in (one, other):
            answer = await each.answer()
            assert answer.status == 409
            assert answer.named["electric-handle"] != at_end["handle"]


async def test_who_waits_may_leave(library: Library, one: Connection, sql: asyncpg.Connection, table: str) -> None:
    at_end = await caught_up(one, table)
    for _ in range(20):
        async with connected(library) as other:
            other.ask({**at_end, "live": "true"})
    one.ask({**at_end, "live": "true"})
    await sql.execute(f"INSERT INTO {table} VALUES (8)")
    assert b'"8"' in (await one.answer()).body


async def test_an_open_page_of_the_log_is_not_kept_too_long(
    one: Connection, sql: asyncpg.Connection, table: str
) -> None:
    """The same words again, when there is more."""
    at_end = await caught_up(one, table)
    for number in range(10, 15):
        before = len(orjson.loads((await one.of(at_end)).body))
        await sql.execute(f"INSERT INTO {table} VALUES ({number})")

        async def grown(before: int = before) -> bool:
            return len(orjson.loads((await one.of(at_end)).body)) == before + 1

        await until(grown, "the row is in the log")
