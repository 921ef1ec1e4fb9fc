"""What is drawn from the description at random, and from real shapes, is answered as it says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from services.api import openapi
from tests.support import web
from tests.support.library import Library, running_library

_EXAMPLES, _FEW = {"/v1/shape": 100}, 20  # of each operation
_REACHED = {
    ("/v1/shape", "get"): {200, 304, 400, 409},
    ("/v1/shape", "head"): {200, 304, 400, 409},
    ("/v1/shape", "post"): {200, 400, 409},
    ("/v1/shape", "delete"): {202, 400, 404},
    ("/v1/ingest", "post"): {202},
    ("/v1/schema", "get"): {200, 409},
}
_QUICK = {
    "API_LONG_POLL_SECONDS": "0.1",
    "API_SSE_SECONDS": "0.2",
    "API_OPEN_SECONDS": "10",
    "API_ALLOW_SHAPE_DELETION": "true",
}
_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
_OPERATIONS = [(path, method) for path, operations in openapi.described()["paths"].items() for method in operations]


class Real(NamedTuple):
    """What was read: queries that got an answer, and the ETags of them."""

    queries: list[dict[str, str]]
    tags: list[str]


class Replaced(NamedTuple):
    """Query and headers of a request."""

    query: dict[str, str]
    headers: dict[str, str]


@pytest_asyncio.fixture(scope="module")
async def quick(
    postgres_dsn: str, fresh_nats_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Library]:
    """A library whose live requests end soon."""
    folder = tmp_path_factory.mktemp("quick")
    async with running_library(postgres_dsn, fresh_nats_url, folder, **_QUICK) as library:
        yield library


@pytest_asyncio.fixture(scope="module")
async def real(quick: Library) -> Real:
    connection = await quick.connect()
    await connection.execute("INSERT INTO playlists (title) SELECT 'list ' || n FROM generate_series(1, 30) n")
    async with web.client(base_url=quick.api, timeout=60, trust_env=False) as http:
        queries: list[dict[str, str]] = []
        for definition in (
            {"table": "playlists"},
            {"table": "public.playlists", "columns": "id,title", "replica": "full"},
        ):
            queries += await _read(http, connection, definition)
        tags = [(await http.get("/v1/shape", params=query)).headers["etag"] for query in queries]
    await connection.close()
    return Real(queries, tags)


async def _read(
    http: httpx.AsyncClient, connection: asyncpg.Connection, definition: dict[str, str]
) -> list[dict[str, str]]:
    """A shape from the start through a change: the query of each read."""
    queries = [{**definition, "offset": "now"}, {**definition, "offset": "-1"}]
    for live in (False, False, True):
        if live:
            await connection.execute("UPDATE playlists SET title = title || '.'")
            queries.append({**queries[-1], "live": "true", "cursor": ""})
        answer = await http.get("/v1/shape", params=queries[-1])
        assert answer.status_code == 200, answer.text
        place = {"offset": answer.headers["electric-offset"], "handle": answer.headers["electric-handle"]}
        queries.append({**definition, **place})
    return queries


@pytest.mark.parametrize(("path", "method"), _OPERATIONS)
async def test_what_is_drawn_at_random_is_answered_as_described(
    quick: Library, real: Real, path: str, method: str
) -> None:
    await asyncio.to_thread(_conforms, quick.api, real, path, method)


def _conforms(api: str, real: Real, path: str, method: str) -> None:
    operation = schemathesis.openapi.from_dict(openapi.described())[path][method]
    reached: set[int] = set()

    @settings(
        max_examples=_EXAMPLES.get(path, _FEW),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(), _replaced(real) if path == "/v1/shape" else st.none())
    def answered(case: schemathesis.Case[Any], replaced: Replaced | None) -> None:
        if replaced is not None:
            case.query, case.headers = replaced.query, CaseInsensitiveDict(replaced.headers)
        reached.add(case.call_and_validate(base_url=api, checks=_CHECKS, timeout=30).status_code)

    answered()
    for certain in _certain(real) if path == "/v1/shape" else ():
        case = operation.Case(query=certain.query, headers=CaseInsensitiveDict(certain.headers))
        reached.add(case.call_and_validate(base_url=api, checks=_CHECKS, timeout=30).status_code)
    assert reached >= _REACHED.get((path, method), set())


def _replaced(real: Real) -> st.SearchStrategy[Replaced | None]:
    """Instead of what was drawn: a real read with some parameters changed, or a few of them alone."""
    values = {name: st.sampled_from(each) for name, each in _values(real).items()}
    changed = st.lists(st.sampled_from(sorted(values)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: values[name] for name in names})
    )
    queries = st.builds(lambda one, other: {**one, **other}, st.sampled_from(real.queries), changed)
    headers = st.fixed_dictionaries({}, optional={"if-none-match": st.sampled_from(real.tags)})
    return st.none() | st.builds(Replaced, queries, headers) | st.builds(Replaced, changed, headers)


def _certain(real: Real) -> list[Replaced]:
    """Reads that are to be among them in any case: each real one, its revalidation, and one of a handle that is not."""
    plain = [Replaced(query, {}) for query in real.queries]
    again = [Replaced(query, {"if-none-match": tag}) for query, tag in zip(real.queries, real.tags, strict=True)]
    return [*plain, *again, Replaced({**real.queries[-1], "handle": "1-1"}, {})]


def _values(real: Real) -> dict[str, list[str]]:
    """Of each parameter, what stands in the library beside what nearly does."""
    handles = sorted({query["handle"] for query in real.queries if "handle" in query})
    offsets = sorted({query["offset"] for query in real.queries})
    return {
        "table": ["playlists", '"public"."playlists"', "songs", "ingest_jobs", "nowhere", "pg_class"],
        "offset": [*offsets, "0_0", "1_0", "99999999999999999999_inf"],
        "handle": [*handles, "1-1", f"{handles[0]}0"],
        "live": ["true", "false", ""],
        "live_sse": ["true", "false"],
        "cursor": ["", "66956680", "99999999999999999999"],
        "where": ["title LIKE 'list%'", "id IS NULL", "title = $1", "1", "now() > created_at", "title ~ '('", "\x00"],
        "columns": ["id,title", "title", '"id"', "nope"],
        "subset__order_by": ["title DESC", "id, title", "random()"],
        "subset__limit": ["1", "0", "x"],
        "subset__where": ["title > 'list 2'", "title"],
    }
