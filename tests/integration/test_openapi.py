"""The description of the API is sound OpenAPI, names what the code reads, and is there whenever the API is."""

from collections.abc import Iterator
from typing import Any

import httpx
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.api import openapi
from services.api.app import Application
from services.api.settings import ApiSettings
from services.api.shape import body, params
from tests.support import web
from tests.support.library import Library


def test_the_description_is_openapi() -> None:
    errors = list(OpenAPIV31SpecValidator(openapi.described()).iter_errors())
    assert errors == []


def test_every_example_is_one() -> None:
    found = list(_examples(openapi.described(), ()))
    assert len(found) > 60
    for where, example, schema in found:
        whole = {**schema, "components": openapi.described()["components"]}
        problems = list(OAS31Validator(whole).iter_errors(example))
        assert problems == [], where


def _examples(node: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, dict[str, Any]]]:
    """Every example with its schema: of parameters, headers, bodies, and of schemas themselves."""
    if isinstance(node, list):
        for number, each in enumerate(node):
            yield from _examples(each, (*where, str(number)))
    if not isinstance(node, dict):
        return
    schema = node.get("schema")
    if isinstance(schema, dict):
        for name, example in (node.get("examples") or {}).items():
            yield (*where, name), example["value"], schema
        if "example" in node:
            yield where, node["example"], schema
    elif isinstance(node.get("examples"), list):
        for example in node["examples"]:
            yield where, example, {name: value for name, value in node.items() if name != "examples"}
    for name, each in node.items():
        if name not in ("example", "examples", "value"):
            yield from _examples(each, (*where, name))


class Recording(dict[str, str]):
    """Remembers which names were looked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seen: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.seen.add(str(name))
        return super().__contains__(name)


def test_what_the_code_reads_is_what_is_described() -> None:
    named, subset = Recording({"table": "t", "offset": "0_0", "handle": "h"}), Recording()
    assert not isinstance(params.parse(params.Given(named, {}, subset)), dict)
    read = named.seen | {f"subset__{name}" for name in subset.seen}
    for method in ("get", "head", "post"):
        assert _names(method, "query") == read
    named = Recording({"table": "t"})
    params.parse_deletion(params.Given(named))
    assert _names("delete", "query") == named.seen
    assert set(openapi.described()["components"]["schemas"]["SubsetRequest"]["properties"]) == set(body._OF_SUBSETS)


def _names(method: str, place: str) -> set[str]:
    known = openapi.described()["components"]["parameters"]
    found = [
        known[each["$ref"].rpartition("/")[2]]
        for each in openapi.described()["paths"]["/v1/shape"][method]["parameters"]
    ]
    return {each["name"] for each in found if each["in"] == place}


async def test_it_is_served_before_anything_else_is() -> None:
    transport = httpx.ASGITransport(Application(ApiSettings()))
    async with web.client(transport=transport, base_url="http://medley") as http:
        assert (await http.get("/v1/schema")).status_code == 503
        served = await http.get("/openapi.json")
    assert (served.status_code, served.json()) == (200, openapi.described())


async def test_it_is_served_with_every_route(library: Library) -> None:
    async with web.client(base_url=library.api, trust_env=False) as http:
        served = (await http.get("/openapi.json")).json()
        assert (await http.post("/openapi.json")).status_code == 405
        assert served["paths"].items() >= openapi.described()["paths"].items()
        assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []
        for path, operations in served["paths"].items():
            unknown = await http.request("TRACE", path.replace("{sha256}", "0" * 64).replace("{job_id}", "1"))
            allowed = {each.strip().lower() for each in unknown.headers.get("allow", "").split(",")}
            assert unknown.status_code == 405 or path == "/v1/health", path
            assert path == "/v1/health" or allowed <= {*operations, "head", "delete"}, path
