"""Reads of a shape over HTTP, as a client makes them."""

from typing import Any

import httpx


async def shape(http: httpx.AsyncClient, table: str, **params: Any) -> httpx.Response:
    """One read, from the start unless `offset` says otherwise; `headers` are the request's."""
    headers = params.pop("headers", {})
    return await http.get("/v1/shape", params={"table": table, "offset": "-1", **params}, headers=headers)


async def caught_up(http: httpx.AsyncClient, table: str, **params: Any) -> tuple[list[Any], dict[str, str]]:
    """Read from the start to the first up-to-date: the messages, and the parameters of the next request."""
    messages: list[Any] = []
    state = {"offset": "-1"}
    while True:
        response = await shape(http, table, **params, **state)
        assert response.status_code == 200, response.text
        messages += response.json()
        state = {"offset": response.headers["electric-offset"], "handle": response.headers["electric-handle"]}
        if "electric-up-to-date" in response.headers:
            return messages, state
