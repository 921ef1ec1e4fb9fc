"""The description of the HTTP surface, OpenAPI 3.1: data in the files beside this, put together here.

`paths.json` names parameters, headers and responses; where it names a group, the tables below say which they are. What
is not described here is taken from what FastAPI says of its routes. Described whether the gate is open or not.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medley import __version__
from medley.contracts.jobs import IngestJob

PATH = "/openapi.json"
_FOLDER = Path(__file__).parent
_OF_A_SHAPE = ("table", "where", "params", "columns", "queryable_columns", "replica", "log")
_OF_A_READ = ("offset", "handle", "live", "live_sse", "experimental_live_sse", "cursor")
_OF_A_SUBSET = ("subset__where", "subset__params", "subset__limit", "subset__offset", "subset__order_by")
_PARAMETERS = {
    "shape": _OF_A_SHAPE,
    "read": _OF_A_READ,
    "subset": _OF_A_SUBSET,
    "conditional": ("if-none-match", "medley-schema-history"),
    "blob": ("sha256", "range", "if-none-match"),
}
_HEADERS = {
    "shape": (
        "vary",
        "access-control-allow-origin",
        "access-control-allow-methods",
        "access-control-expose-headers",
        "electric-server",
    ),
    "blob": ("accept-ranges", "content-security-policy", "x-content-type-options", "etag.blob"),
}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_bytes())
    return found


def _named(names: Any, groups: dict[str, tuple[str, ...]]) -> list[Any]:
    """The names, each group by its members."""
    return [each for name in names for each in (groups.get(name, (name,)) if isinstance(name, str) else (name,))]


def _reference(kind: str, name: Any) -> Any:
    return {"$ref": f"#/components/{kind}/{name}"} if isinstance(name, str) else name


def _response(found: Any) -> Any:
    """A response with its headers written out. `name.variant` is another description of the header `name`."""
    if isinstance(found, str) or not isinstance(found.get("headers"), list):
        return _reference("responses", found)
    names = _named(found["headers"], _HEADERS)
    return {**found, "headers": {name.split(".")[0]: _reference("headers", name) for name in names}}


def _operation(found: dict[str, Any]) -> dict[str, Any]:
    parameters = [_reference("parameters", each) for each in _named(found.get("parameters", ()), _PARAMETERS)]
    responses = {status: _response(each) for status, each in found["responses"].items()}
    return {**found, "parameters": parameters, "responses": responses}


@cache
def described() -> dict[str, Any]:
    """All that is described here. Not to be changed."""
    document = _read("document")
    document["info"]["version"] = __version__
    job = IngestJob.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"] |= {
        "parameters": _read("parameters"),
        "headers": _read("headers"),
        "schemas": {**_read("schemas"), **job.pop("$defs"), "IngestJob": job},
        "responses": {name: _response(each) for name, each in _read("responses").items()},
    }
    paths = _read("paths").items()
    document["paths"] = {
        path: {method: _operation(operation) for method, operation in operations.items()} for path, operations in paths
    }
    return document


def completed(generated: dict[str, Any]) -> dict[str, Any]:
    """With FastAPI's own words on the operations that are not described here. Pure."""
    ours = described()
    theirs = generated.get("paths", {})
    paths = {**theirs, **{path: {**theirs.get(path, {}), **found} for path, found in ours["paths"].items()}}
    schemas = {**generated.get("components", {}).get("schemas", {}), **ours["components"]["schemas"]}
    return {**ours, "paths": paths, "components": {**ours["components"], "schemas": schemas}}


class Description:
    """Answers `GET /openapi.json`, at any time. Once the routes of `rest` were there, they stay described."""

    def __init__(self) -> None:
        self._document = orjson.dumps(described())
        self._route = Route(PATH, self._get)

    def of(self, rest: FastAPI) -> None:
        self._document = orjson.dumps(completed(rest.openapi()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._route.handle(scope, receive, send)

    async def _get(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json", headers={"cache-control": "no-cache"})
