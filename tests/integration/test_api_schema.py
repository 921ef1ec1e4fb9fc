"""`/v1/schema` and `/v1/schema/bundle`, and clients that say which schema they have."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from medley.gate.bundle import Bundle
from tests.support import web
from tests.support.library import Library


@pytest_asyncio.fixture
async def http(library: Library) -> AsyncIterator[httpx.AsyncClient]:
    async with web.client(base_url=library.api) as client:
        yield client


async def test_the_schema_is_told_with_its_history(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/schema")
    value = answer.json()
    assert (answer.status_code, value["verdict"]) == (200, "equal")
    assert value["fingerprint"] == value["recorded"] == value["migrations"][-1]["fingerprint"]
    assert value["history"] == value["migrations"][-1]["history"]
    assert answer.headers["etag"] == f'"{value["fingerprint"]}"'
    again = await http.get("/v1/schema", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_bundle_is_the_compiled_one_and_has_the_databases_fingerprint(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/schema/bundle")
    bundle, schema = Bundle.model_validate_json(answer.content), (await http.get("/v1/schema")).json()
    assert (bundle.fingerprint, bundle.history) == (schema["fingerprint"], schema["history"])
    assert answer.headers["etag"] == f'"{bundle.fingerprint}"'
    etag = f'W/"{bundle.fingerprint}"'
    assert (await http.get("/v1/schema/bundle", headers={"if-none-match": etag})).status_code == 304
    assert (await http.get("/v1/schema/bundle", headers={"if-none-match": '"v1:other"'})).status_code == 200


async def test_a_client_is_told_what_its_history_is_worth(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/v1/schema")).json()
    first, last = schema["migrations"][0]["history"], schema["history"]
    for asked, code, verdict in ((last, 200, "equal"), (first, 200, "compatible"), ("0" * 64, 409, "unknown")):
        answer = await http.get("/v1/schema", params={"history": asked})
        assert (answer.status_code, answer.json()["client"]["verdict"]) == (code, verdict)


async def test_a_shape_is_not_fed_to_a_copy_with_another_history(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/v1/schema")).json()
    shape = "/v1/shape?table=songs&offset=-1"
    fine = await http.get(shape, headers={"medley-schema-history": schema["history"]})
    assert fine.status_code == 200
    refused = await http.get(shape, headers={"medley-schema-history": "0" * 64})
    assert refused.status_code == 412 and "schema unknown" in refused.json()["message"]
    assert (await http.get(shape)).status_code == 200


async def test_the_routes_are_documented(http: httpx.AsyncClient) -> None:
    assert {"/v1/schema", "/v1/schema/bundle"} <= set((await http.get("/openapi.json")).json()["paths"])
