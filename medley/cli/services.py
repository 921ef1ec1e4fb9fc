"""The four services as programs of this stack: `python -m services.<name>`, told by environment where servers are."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from medley.cli.embedded.child import Program
from medley.cli.embedded.ports import LOOPBACK
from medley.cli.embedded.server import poll


class Service:
    """A service that is ready as soon as it runs: others do not wait for it, the API's health speaks for all."""

    def __init__(self, name: str, env: Mapping[str, str]) -> None:
        self.name = name
        self.env = env

    def prepare(self) -> None:
        """Nothing to make."""

    def program(self) -> Program:
        # -P: a folder named `services` where we were started must not be taken for ours.
        argv = (sys.executable, "-P", "-m", f"services.{self.name}")
        return Program(name=self.name, argv=argv, env=self.env, grace=6)

    async def ready(self) -> None:
        """At once."""


class Api(Service):
    """Ready when `/v1/health` says active: then a change travels all the way."""

    def __init__(self, env: Mapping[str, str], port: int) -> None:
        super().__init__("api", {**env, "API_HOST": LOOPBACK, "API_PORT": str(port)})
        self.url = f"http://{LOOPBACK}:{port}"

    async def ready(self) -> None:
        # Plain HTTP on this machine: the authorities, which take long to read, are nobody to ask.
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=5) as client:

            async def active() -> bool:
                return await is_active(client, self.url)

            await poll(active, every=0.1)


async def is_active(client: httpx.AsyncClient, url: str) -> bool:
    """Whether the API serves shapes now."""
    try:
        return bool((await client.get(f"{url}/v1/health")).json() == {"status": "active"})
    except (httpx.HTTPError, ValueError):
        return False


def allowed_folders(asked: tuple[Path, ...], given: str | None, inbox: Path) -> str:
    """The value of INGEST_ALLOWED_FOLDERS: what was asked for, else what is set, else here and the inbox."""
    if not asked and given is not None:
        return given
    folders = asked or (Path.cwd(),)
    return os.pathsep.join(str(folder.expanduser().resolve()) for folder in (*folders, inbox))
