"""How the stories of the proxy ask, and what they look at."""

from typing import NamedTuple

from tests.support.library import Library
from tests.support.nginx import Logged, Nginx


class Proxied(NamedTuple):
    library: Library
    nginx: Nginx

    async def origin(self, table: str) -> list[Logged]:
        """What the origin was asked about the table."""
        return [line for line in await self.nginx.log(table) if line.asked_origin]
