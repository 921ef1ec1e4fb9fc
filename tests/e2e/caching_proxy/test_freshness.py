"""Nobody is given what is old as if it were new: beginnings, chunks of the log, live answers, and must-refetch."""

import asyncpg
import httpx
import pytest

from medley.client import Copy
from tests.e2e.caching_proxy.asking import Proxied
from tests.support.library import rows_of, until
from tests.support.shape_reads import caught_up, shape


async def test_the_start_of_another_handle_than_the_one_led_to_is_not_kept(
    proxied: Proxied, http: httpx.AsyncClient, table: str
) -> None:
    """Kept, it would lead every client in a circle: there, the key has no cache-buster."""
    handle = (await shape(http, table)).headers["electric-handle"]
    for buster in ("a", "b"):
        led = await shape(http, table, **{"handle": handle, "cache-buster": buster})
        other = await shape(http, table, **{"handle": "1-1", "cache-buster": buster})
        assert led.headers["electric-handle"] == other.headers["electric-handle"] == handle
        assert led.headers["cache-control"].startswith("public, max-age=604800")
        assert other.headers["cache-control"] == "no-cache"
    asked = await proxied.origin(table)
    assert sorted(line.handle for line in asked[1:]) == sorted(["1-1", "1-1", handle])

    for buster in ("a", "b"):  # without a handle it does what its name says
        await shape(http, table, **{"cache-buster": buster})
    assert len(await proxied.origin(table)) == len(asked) + 2


async def test_what_is_old_is_given_while_it_is_asked_for_again(
    proxied: Proxied, http: httpx.AsyncClient, database: asyncpg.Connection, table: str
) -> None:
    """stale-while-revalidate, and 304: a chunk that did not change crosses the wire once."""
    _, state = await caught_up(http, table)
    await database.execute(f"UPDATE {table} SET title = 'two' WHERE id = 1")

    async def revalidated() -> bool:
        assert (await shape(http, table, **state)).status_code == 200
        lines = [line for line in await proxied.nginx.log(table) if line.offset == state["offset"]]
        return any(line.upstream == "304" for line in lines) and any(line.cached == "STALE" for line in lines)

    await until(revalidated, "the proxy asked again, and was told that nothing changed")
    answer = await shape(http, table, **state)
    assert [message["value"] for message in answer.json() if "value" in message] == [{"id": "1", "title": "two"}]


async def test_a_client_that_has_it_is_answered_by_the_proxy(
    proxied: Proxied, http: httpx.AsyncClient, table: str
) -> None:
    tag = (await shape(http, table)).headers["etag"]
    answer = await shape(http, table, headers={"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert len(await proxied.origin(table)) == 1


async def test_an_old_beginning_leads_to_what_is_new(
    proxied: Proxied, http: httpx.AsyncClient, database: asyncpg.Connection, table: str
) -> None:
    await caught_up(http, table)
    await database.execute(f"UPDATE {table} SET title = 'two' WHERE id <= 3")
    await database.execute(f"DELETE FROM {table} WHERE id > 40")
    wanted = sorted(await rows_of(database, table), key=repr)

    async def arrived() -> bool:
        copy = Copy()
        messages, _ = await caught_up(http, table)
        copy.apply(messages)
        assert copy.faults == []
        return sorted(copy.rows.values(), key=repr) == wanted

    await until(arrived, "the copy that began with what the proxy kept equals SELECT")
    assert len((await shape(http, table)).json()) == 51, "fifty rows, and the end of the snapshot"
    assert len([line for line in await proxied.origin(table) if line.offset == "-1"]) == 1


async def test_live_answers_of_the_past_are_not_given_again(
    proxied: Proxied, http: httpx.AsyncClient, table: str
) -> None:
    _, state = await caught_up(http, table)
    cursors = [""]
    for _ in range(3):
        answer = await shape(http, table, **state, live="true", cursor=cursors[-1])
        assert [message["headers"].get("control") for message in answer.json()] == ["up-to-date"]
        cursors.append(answer.headers["electric-cursor"])
    assert len(set(cursors)) == 4
    assert [line.cached for line in await proxied.nginx.log(table) if line.live == "true"] == ["MISS"] * 3


async def test_head_is_answered_out_of_what_get_left(proxied: Proxied, http: httpx.AsyncClient, table: str) -> None:
    got = await shape(http, table)
    head = await http.head("/v1/shape", params={"table": table, "offset": "-1"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["electric-handle"] == got.headers["electric-handle"]
    assert len(await proxied.origin(table)) == 1


async def test_events_pass_as_they_come(http: httpx.AsyncClient, database: asyncpg.Connection, table: str) -> None:
    """Two streams of one address: neither waits for the other, and each event is there before the stream ends."""
    _, state = await caught_up(http, table)
    asked = {"table": table, **state, "live": "true", "live_sse": "true", "cursor": ""}
    first, second = (http.stream("GET", "/v1/shape", params=asked) for _ in range(2))
    async with first as one, second as two:
        assert all(stream.headers["content-type"].startswith("text/event-stream") for stream in (one, two))
        lines = [one.aiter_lines(), two.aiter_lines()]
        for title in ("two", "three"):
            await database.execute(f"UPDATE {table} SET title = $1 WHERE id = 1", title)
            for of_stream in lines:
                async for line in of_stream:
                    if title in line:
                        break
                else:
                    pytest.fail(f"the stream ended without {title}")
