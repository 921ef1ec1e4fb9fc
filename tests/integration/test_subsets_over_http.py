"""A subset over HTTP is rows of its shape, in the shape's own words."""

import asyncpg

from tests.support import web
from tests.support.library import Library


async def test_a_subset_has_the_values_and_keys_of_the_snapshot(library: Library, database: asyncpg.Connection) -> None:
    await database.execute("CREATE TABLE scores (id int PRIMARY KEY, who text, at timestamptz, points numeric)")
    await database.execute("INSERT INTO scores SELECT n, 'p/' || n % 3, now(), n / 2.0 FROM generate_series(1, 30) n")
    query = {"table": "scores", "where": "who = 'p/1'", "offset": "-1"}
    async with web.client(base_url=library.api, trust_env=False, timeout=60) as client:
        first = await client.get("/v1/shape", params=query)
        whole = {row["key"]: row["value"] for row in first.json() if "key" in row}
        handle, offset = first.headers["electric-handle"], first.headers["electric-offset"]
        stream = {"table": "scores", "where": "who = 'p/1'", "offset": offset, "handle": handle}
        asked = {"where": "points > $1", "params": {"1": "5"}, "order_by": "id DESC", "limit": 3}
        posted = await client.post("/v1/shape", params=stream, json=asked)
        assert posted.status_code == 200, posted.text
        assert posted.headers["electric-snapshot"] == "true"
        assert posted.headers["electric-handle"] == handle
        found = posted.json()["data"]
        assert [row["value"]["id"] for row in found] == ["28", "25", "22"]
        assert all(whole[row["key"]] == row["value"] for row in found)
        got = await client.get("/v1/shape", params={**stream, "subset__where": "nope = 1"})
        assert got.status_code == 400
        assert got.json()["errors"] == {"subset": {"where": ["At location 0: unknown reference nope"]}}
        await database.execute("ALTER TABLE scores ALTER points TYPE float8")
        gone = await client.post("/v1/shape", params=stream, json=asked)
        assert gone.status_code == 409
