"""`@electric-sql/react`: `useShape` renders rows, follows their changes, and says that it loads or fails."""

import html
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.programs import Line, running, selected
from tests.support.library import Library

pytestmark = pytest.mark.node


def shows(rows: list[dict[str, Any]]) -> Callable[[Line], bool]:
    """Whether the document is a list of these rows."""

    def accepts(line: Line) -> bool:
        texts = html.unescape(line["html"]).removeprefix("<ul><li>").removesuffix("</li></ul>").split("</li><li>")
        return line["html"].startswith("<ul><li>") and [json.loads(text) for text in texts] == sorted(
            rows, key=lambda row: int(row["id"])
        )

    return accepts


async def test_use_shape_renders_rows_and_follows_them(
    node: str, library: Library, connection: asyncpg.Connection, name: str
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, title text)")
    await connection.execute(f"INSERT INTO {name} VALUES (1, 'one'), (2, 'two')")
    asked = {"url": f"{library.api}/v1/shape", "params": {"table": name}}
    async with running(node, "react.mjs", "--import", "./dom.mjs", **asked) as js:
        await js.says(shows(await selected(connection, name)), "the snapshot")
        assert js.said[0]["html"] == "<i>loading</i>"
        for statement in (
            f"INSERT INTO {name} VALUES (3, 'three')",
            f"UPDATE {name} SET title = NULL WHERE id = 1",
            f"DELETE FROM {name} WHERE id = 2",
            f"TRUNCATE {name}; INSERT INTO {name} VALUES (9, 'nine')",
        ):
            await connection.execute(statement)
            await js.says(shows(await selected(connection, name)), statement)


async def test_use_shape_says_what_failed_and_goes_on_with_what_does_not(
    node: str, library: Library, connection: asyncpg.Connection, name: str
) -> None:
    await connection.execute(f"CREATE TABLE {name} (id int PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    asked = {"url": f"{library.api}/v1/shape", "params": {"table": name}}
    wrong = {**asked, "params": {"table": name, "columns": ["id", "nothing"]}}
    async with running(node, "react.mjs", "--import", "./dom.mjs", **wrong) as js:
        await js.says(lambda line: line["html"] == "<b>error 400</b>", "the refusal")
        await js.tell("ask", options=asked)
        await js.says(shows([{"id": 1}]), "the rows")
