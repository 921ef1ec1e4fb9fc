"""`GET /v1/schema` and `/v1/schema/bundle`: which schema this library has, and the bundle that a client replays.

They answer while the gate is closed, too: that is when a client wants to know why.
"""

import asyncio
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from medley.gate import bundle as bundles
from medley.gate import history
from medley.gate.bundle import Bundle
from medley.gate.clients import ClientAnswer, judge_client
from medley.gate.findings import ROLES
from medley.gate.gate import Gate, Look
from medley.gate.records import Applied
from medley.gate.shipped import shipped
from medley.runtime.errors import ConfigurationError

HEADER = b"medley-schema-history"
"""A client says with it which schema its copy has; a shape that would not fit is refused."""


class Schema:
    """What a gate knows, for clients. `folder` holds the migrations and what was compiled from them."""

    def __init__(self, gate: Gate, folder: Path) -> None:
        self._gate = gate
        self._folder = folder
        self._bundle: tuple[Bundle, bytes] | None = None
        self._known = history.steps(shipped(folder))

    def answer(self, client_history: str) -> ClientAnswer | None:
        """For a client with this history; None while the database has not been asked."""
        if self._gate.last is None:
            return None
        return judge_client(client_history, self._gate.last.ledger, self._known)

    def bundle(self) -> tuple[Bundle, bytes]:
        """The compiled bundle and its text. Raises ConfigurationError unless it is that of the migrations beside it."""
        if self._bundle is None:
            path = self._folder / "bundle.json"
            found = bundles.load(path)
            if found.history != history.chain(shipped(self._folder)):
                raise ConfigurationError(
                    f"{path} is not that of the migrations beside it; run `medley migrate compile`"
                )
            self._bundle = found, orjson.dumps(found.model_dump(mode="json"))
        return self._bundle

    def tag(self, fingerprint: str, history: str | None) -> str:
        """The fingerprint; with the history behind it where one fingerprint stands for several points of the history
        (a column dropped and added again, a migration of rows), or a client would be told that nothing is new."""
        rows = self._gate.last.ledger.applied if self._gate.last else ()
        return fingerprint if sum(row.fingerprint == fingerprint for row in rows) < 2 else f"{fingerprint}.{history}"

    def as_dict(self, look: Look) -> dict[str, Any]:
        ledger = look.ledger
        return {
            "fingerprint": look.fingerprint,
            "recorded": ledger.fingerprint,
            "history": ledger.history,
            "head": ledger.names[-1] if ledger.names else None,
            "verdict": look.answer.verdict,
            "sentence": look.answer.sentence,
            "migrations": [_migration(row) for row in ledger.applied],
        }


def _migration(row: Applied) -> dict[str, Any]:
    compat = {role: row.compat.of(role) for role in ROLES} if row.compat else None
    return {
        "filename": row.filename,
        "applied_at": row.applied_at.isoformat(),
        "checksum": row.checksum,
        "history": row.history,
        "fingerprint": row.fingerprint,
        "compat": compat,
    }


def router(schema: Schema, gate: Gate) -> APIRouter:
    routes = APIRouter(tags=["schema"])

    @routes.get("/v1/schema")
    async def show(request: Request) -> Response:
        """Fingerprint, history and the gate's verdict. With `history=`, also what that is worth to a client: 409 when
        it must not be fed."""
        if gate.last is None:
            return _problem(503, gate.closed or "the database has not been asked yet")
        value = schema.as_dict(gate.last)
        asked = request.query_params.get("history")
        if asked is None:
            return _cached(request, orjson.dumps(value), schema.tag(gate.last.fingerprint, gate.last.ledger.history))
        given = schema.answer(asked)
        assert given is not None
        value["client"] = {"verdict": given.verdict, "sentence": given.sentence}
        return Response(orjson.dumps(value), 200 if given.is_served else 409, _NO_STORE, "application/json")

    @routes.get("/v1/schema/bundle")
    async def bundle(request: Request) -> Response:
        """The compiled bundle; its ETag is that of the schema."""
        try:
            found, text = await asyncio.to_thread(schema.bundle)
        except ConfigurationError as error:
            return _problem(404, str(error))
        return _cached(request, text, schema.tag(found.fingerprint, found.history))

    return routes


_NO_STORE = {"cache-control": "no-store"}


def _problem(status: int, sentence: str) -> Response:
    return Response(orjson.dumps({"message": sentence}), status, _NO_STORE, "application/json")


def _cached(request: Request, body: bytes, tag: str) -> Response:
    """With this ETag; 304 to who has it."""
    tag = f'"{tag}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    asked = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")
