"""How the stories of the proxy ask, and what they look at."""

from typing import Any, NamedTuple

import httpx

from tests.support.library import Library
from tests.support.nginx import Logged, Nginx


class Proxied(NamedTuple):
    library: Library
    nginx: Nginx

    async def origin(self, table: str) -> list[Logged]:
        """What the origin was asked about the table."""
        return [line for line in await self.nginx.log(table) if line.asked_origin]


async def shape(http: httpx.AsyncClient, table: str, **params: Any) -> httpx.Response:
    headers = params.pop("headers", {})
    return await http.get("/v1/shape", params={"table": table, "offset": "-1", **params}, headers=headers)


async def caught_up(http: httpx.AsyncClient, table: str) -> tuple[list[Any], dict[str, str]]:
    """From the start to the first up-to-date: the messages, and the parameters of the next request."""
    messages: list[Any] = []
    state = {"offset": "-1"}
    while True:
        response = await shape(http, table, **state)
        assert response.status_code == 200, response.text
        messages += response.json()
        state = {"offset": response.headers["electric-offset"], "handle": response.headers["electric-handle"]}
        if "electric-up-to-date" in response.headers:
            return messages, state
