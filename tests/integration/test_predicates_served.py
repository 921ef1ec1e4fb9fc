"""Clauses that Postgres decides, through the API: followed, refused, asked for subsets of, and explained."""

import asyncio
import secrets
import sys

import asyncpg
import pytest

from medley.client import ShapeRefused
from tests.support import web
from tests.support.library import Follower, Library, rows_of

WHERE = "j ->> 'artist' = $1 AND title ~ '^a'"


@pytest.fixture
async def table(database: asyncpg.Connection) -> str:
    name = f"t_{secrets.token_hex(4)}"
    await database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, title text, j jsonb, n int)")
    await database.execute(
        f"INSERT INTO {name} SELECT g, chr(96 + g), jsonb_build_object('artist', 'Ann'), 1 FROM generate_series(1, 5) g"
    )
    return name


async def test_moves_in_and_out_and_a_row_that_ends_it(
    library: Library, database: asyncpg.Connection, table: str
) -> None:
    literal = WHERE.replace("$1", "'Ann'")
    async with Follower(library.api, table, where=WHERE, params=["Ann"]) as follower:
        await follower.reaches(await rows_of(database, table, literal))
        await database.execute(f"UPDATE {table} SET title = 'ab' WHERE id IN (2, 3)")
        await database.execute(f"UPDATE {table} SET j = NULL WHERE id = 1")
        await follower.reaches(await rows_of(database, table, literal))
    async with Follower(library.api, table, where="10 / n > 1") as follower:
        await follower.reaches(await rows_of(database, table))
        await database.execute(f"INSERT INTO {table} VALUES (9, 'x', NULL, 0)")
        with pytest.raises(ShapeRefused, match=f'division by zero, at row "public"."{table}"/"9"'):
            await follower.reaches([])


async def test_a_subset_of_such_a_shape(library: Library, table: str) -> None:
    query = {"table": table, "offset": "now", "where": WHERE, "params[1]": "Ann", "subset__where": "id < 100"}
    async with web.client() as http:
        answer = await http.get(f"{library.api}/v1/shape", params=query)
    assert [row["value"]["id"] for row in answer.json()["data"]] == ["1"]


@pytest.mark.parametrize(
    ("where", "params", "said"),
    [
        (WHERE, ("Ann",), ["tier    postgres", "asked about rows with  j -> artist is or has Ann"]),
        (WHERE, ("Ann",), ["clause  (((j ->> 'artist'::text) = 'Ann'::text)"]),
        ("lower(title) = 'a'", (), ["tier    postgres", "index   none"]),
        ("n = 1 AND lower(title) = 'a'", (), ["tier    postgres", "asked about rows with  n = 1"]),
        ("n BETWEEN 1 AND 5", (), ["tier    python", "index  n >= 1 AND n <= 5"]),
        ("title LIKE 'a%'", (), ["tier    python", "index  title begins with a"]),
        ("n IN (1, 2)", (), ["tier    python", "index  n = 1", "index  n = 2"]),
        ("n = $1", ("1",), ["tier    index", "index  n = 1"]),
        ("1 = 1", (), ["tier    constant"]),
        (None, (), ["tier    whole"]),
    ],
)
async def test_how_changes_find_it(
    library: Library, table: str, where: str | None, params: tuple[str, ...], said: list[str]
) -> None:
    asked = [*(["--where", where] if where else []), *(word for value in params for word in ("--param", value))]
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "medley.cli",
            "tail",
            table,
            "--explain",
            "--api",
            library.api,
            "--nats",
            library.nats_url,
        ),
        *asked,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    for text in said:
        assert text in output
