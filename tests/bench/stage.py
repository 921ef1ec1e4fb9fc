"""Where lines are measured: a `medley up` of its own, or a server that is there already; and beside it, for the limits,
a Postgres of the same settings that nobody follows."""

import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any, TypeVar

import asyncpg

from medley.cli.embedded.child import Program
from medley.cli.embedded.ports import free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.server import poll, running
from medley.cli.home import Home
from medley.cli.settings import environment
from medley.runtime.errors import ConfigurationError
from tests.bench import apart, usage
from tests.bench.frame import Used

SERVICES = ("ingest", "sync", "api", "migrator", "server")
BUS = "nats"
_PATIENCE = 60.0
# More than ten thousand clients wait at once.
_TOLD = {"API_MAX_LIVE_REQUESTS": "20000", "LOG_LEVEL": "warning"}
_COLUMNS = (
    "id bigserial PRIMARY KEY, playlist_id int NOT NULL DEFAULT 1, title text, filler text,"
    " at float8 NOT NULL DEFAULT extract(epoch FROM clock_timestamp())::float8"
)
T = TypeVar("T")


class Up:
    """`medley up` on a home, as people start it."""

    name = "medley"

    def __init__(self, home: Path) -> None:
        self._home = home

    def prepare(self) -> None:
        """Nothing to make."""

    def program(self) -> Program:
        argv = (sys.executable, "-P", "-m", "medley.cli", "up", "--home", str(self._home), "--port", "0")
        allowed = ("--allow", str(self._home.parent))
        env = {**environment(), **_TOLD}
        return Program(name=self.name, argv=(*argv, *allowed), env=env, orphaned=SIGTERM, grace=40)

    async def ready(self) -> None:
        await poll(self._is_ready)

    async def _is_ready(self) -> bool:
        try:
            Home(self._home).running()
        except ConfigurationError:
            return False
        return True


@dataclass
class Stage:
    """`pids`: roots of the programs measured. `bare`: the Postgres that nobody follows. `info`: what `medley info`
    says; empty where the server is not ours. `kept`: what lines of one family hand on to each other;
    `held` ends with it."""

    api: str
    dsn: str
    bare: str
    folder: Path
    pids: dict[str, int]
    info: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    held: AsyncExitStack = field(default_factory=AsyncExitStack)
    _clients: set[int] = field(default_factory=set)

    async def connect(self, dsn: str = "") -> asyncpg.Connection:
        return await asyncpg.connect(dsn or self.dsn)

    @asynccontextmanager
    async def table(self, dsn: str = "", columns: str = _COLUMNS) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
        """A new table and a session; the table is dropped at the end, and with it the shapes that were opened."""
        name = f"bench_{secrets.token_hex(4)}"
        session = await self.connect(dsn)
        try:
            await session.execute(f"CREATE TABLE {name} ({columns})")
            yield name, session
            await session.execute(f"DROP TABLE {name}")
        finally:
            await session.close()

    @asynccontextmanager
    async def client(self, make: Callable[..., Any], *arguments: Any) -> AsyncIterator[apart.Apart]:
        """A load client in a process of its own, whose CPU counts as the client's."""
        async with apart.apart(make, *arguments) as process:
            self._clients.add(process.pid)
            try:
                yield process
            finally:
                self._clients.discard(process.pid)

    @contextmanager
    def metered(self) -> Iterator[Callable[[], Used]]:
        """What the programs use in the block; known when it has ended."""
        meter = usage.Meter(self.pids, lambda: self._clients)
        meter.start()
        yield lambda: meter.used
        meter.stop()

    async def quiet(self, patience: float = _PATIENCE) -> None:
        """Return when what was done before leaves nothing to do."""
        await usage.quiet({**self.pids}, patience)

    def memory(self) -> float:
        """MB resident now, of the services together."""
        return sum(usage.rss(services(self.pids)).values()) / 1e6


def services(by_name: Mapping[str, T]) -> dict[str, T]:
    return {name: value for name, value in by_name.items() if name in SERVICES}


@asynccontextmanager
async def _bare(folder: Path) -> AsyncIterator[str]:
    postgres = Postgres(folder / "bare", free_port(), secrets.token_urlsafe(12))
    async with running(postgres, folder / "bare.log"):
        yield postgres.url


def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="medley-bench-"))
    folder.chmod(0o755)  # Postgres runs under another account
    return folder


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    folder = await asyncio.to_thread(_made)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@asynccontextmanager
async def ours() -> AsyncIterator[Stage]:
    async with _folder() as folder, _bare(folder) as bare:
        home = folder / "home"
        async with running(Up(home), folder / "medley.log"):
            state = Home(home).running()
            stage = Stage(state["api"], state["postgres"], bare, folder, dict(state["pids"]), dict(state))
            async with stage.held:
                yield stage


@asynccontextmanager
async def theirs(url: str, dsn: str, pid: int | None) -> AsyncIterator[Stage]:
    """A server that speaks the protocol, on the database `dsn`."""
    async with _folder() as folder, _bare(folder) as bare:
        stage = Stage(url.rstrip("/"), dsn, bare, folder, {"server": pid} if pid else {})
        async with stage.held:
            yield stage


async def until(condition: Callable[[], Awaitable[bool]], what: str, patience: float = _PATIENCE) -> None:
    """Raises TimeoutError, naming what did not come true."""
    try:
        async with asyncio.timeout(patience):
            await poll(condition, 0.02)
    except TimeoutError:
        raise TimeoutError(f"not within {patience:g} s: {what}") from None
