"""A thousand clients of one shape behind a caching proxy: a handful of requests reach the API, and each client gets
each change once."""

import asyncio

import asyncpg

from tests.e2e.caching_proxy.asking import Proxied
from tests.support.crowd import Client, Crowd
from tests.support.library import rows_of

CLIENTS = 1_000


def _has(client: Client, title: str) -> bool:
    return client.up_to_date and any(row["title"] == title for row in client.copy.rows.values())


async def test_a_thousand_clients_cost_the_origin_a_handful_of_requests(
    proxied: Proxied, database: asyncpg.Connection, table: str
) -> None:
    titles = ["two", "three"]
    async with Crowd(proxied.nginx, table, CLIENTS) as crowd:
        await crowd.until(lambda client: client.up_to_date)
        before = len(await proxied.origin(table))
        assert before <= 4, "the first chunk, and what follows it"

        for title in titles:
            live = asyncio.create_task(crowd.until(lambda client, title=title: _has(client, title)))  # type: ignore[misc]
            await crowd.waits()
            await database.execute(f"UPDATE {table} SET title = $1 WHERE id = 1", title)
            await live
            asked = await proxied.origin(table)
            assert len(asked) <= before + 4, asked[before:]
            before = len(asked)

        wanted = {(row["id"], row["title"]) for row in await rows_of(database, table)}
        for client in crowd.clients:
            assert {(row["id"], row["title"]) for row in client.copy.rows.values()} == wanted
            assert client.copy.faults == []
            assert client.changes == [("update", {"id": "1", "title": title}) for title in titles]


async def test_must_refetch_leads_all_to_the_new_handle_without_a_storm(
    proxied: Proxied, database: asyncpg.Connection, table: str
) -> None:
    async with Crowd(proxied.nginx, table, CLIENTS) as crowd:
        await crowd.until(lambda client: client.up_to_date)
        for title in ("again", "and again"):
            before = len(await proxied.origin(table))
            live = asyncio.create_task(crowd.until(lambda client, title=title: _has(client, title)))  # type: ignore[misc]
            await crowd.waits()
            async with database.transaction():
                await database.execute(f"TRUNCATE {table}")
                await database.execute(f"INSERT INTO {table} VALUES (1, $1)", title)
            await live
            asked = await proxied.origin(table)
            assert len(asked) <= before + 12, asked[before:]
        assert {client.refetches for client in crowd.clients} == {2}
        assert len({client.place["handle"] for client in crowd.clients}) == 1
        assert all(len(client.copy.rows) == 1 and client.copy.faults == [] for client in crowd.clients)
