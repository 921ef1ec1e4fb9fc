"""The servers and processes of one seed, each process behind relays of its own, and what can be done to them.

The servers' folders are copies of a template that was migrated once. Whatever ends without having been told to is
started again, as a supervisor does, and noted.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from medley.cli.embedded.nats import Nats
from medley.cli.embedded.ports import Ports, free_port
from medley.cli.embedded.postgres import Postgres
from medley.cli.embedded.server import running
from medley.runtime.together import ended
from tests.chaos.plan import Plan
from tests.chaos.shapes import TABLES
from tests.support.library import Library, until
from tests.support.relay import Relay, relay

_PASSWORD = "chaos"
_QUICK = {
    "SYNC_SLOT": "chaos",
    "SYNC_RECONCILE_INTERVAL": "0.5",
    "SYNC_CLAUSE_SECONDS": "20",
    "LOG_FORMAT": "json",
}
_RENEWING = {"SYNC_LOG_BYTES": "1500", "SYNC_RENEWAL_INTERVAL": "0.3", "SYNC_SUPERSEDED_SECONDS": "2"}
_LOOK = 0.1


class Server:
    """Postgres or NATS, that can be killed and started again on its data."""

    def __init__(self, server: Postgres | Nats, log: Path) -> None:
        self._server, self._log = server, log
        self._open = AsyncExitStack()
        self.pid = 0

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        _, child = await self._open.enter_async_context(running(self._server, self._log))
        self.pid = child.pid

    async def stop(self, number: signal.Signals | None = None) -> None:
        """In order; or by that signal."""
        if number is not None:
            with suppress(psutil.Error):
                psutil.Process(self.pid).send_signal(number)
        await self._open.aclose()

    def signal_all(self, number: signal.Signals) -> None:
        """It, and what it has started."""
        with suppress(psutil.Error):
            root = psutil.Process(self.pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    process.send_signal(number)


class Stage:
    """`locks`: one fault at a time concerns a process or a link. `ended`: what ended by itself."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        ports = Ports()
        self.postgres = Server(
            Postgres(folder / "postgres", free_port(), _PASSWORD, durable=False), folder / "postgres.log"
        )
        self.nats = Server(Nats(folder / "nats", ports, _PASSWORD), folder / "nats.log")
        self.ports = {name: free_port() for name in plan.processes if name.startswith("api")}
        self.links: dict[str, Relay] = {}
        self.locks = {name: asyncio.Lock() for name in (*plan.servers, *plan.links)}
        self.ended: list[str] = []
        self.library = Library(self.postgres.url, self.nats.url, "", folder, {**os.environ, **_QUICK})

    @property
    def apis(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    async def start(self, name: str) -> None:
        if name in ("nats", "postgres"):
            return await self._server(name).start()
        env = {
            "NATS_URL": _by_way_of(self.nats.url, self.links[f"{name}-nats"]),
            "POSTGRES_DSN": self.postgres.url,
        }
        if name in self.ports:
            return await self.library.start(name, "api", API_PORT=str(self.ports[name]), **env)
        env["POSTGRES_DSN"] = _by_way_of(self.postgres.url, self.links[f"{name}-postgres"])
        return await self.library.start(name, "sync", **env, **(_RENEWING if self.plan.renewals else {}))

    async def end(self, name: str, number: signal.Signals | None) -> None:
        """By that signal, or in order."""
        if name in ("nats", "postgres"):
            await self._server(name).stop(number)
        else:
            await self.library.kill(name, number or signal.SIGTERM)

    def tell(self, name: str, number: signal.Signals) -> None:
        """A signal that ends nothing: SIGSTOP, SIGCONT."""
        if name in ("nats", "postgres"):
            self._server(name).signal_all(number)
        elif (process := self.library.processes.get(name)) is not None and process.returncode is None:
            process.send_signal(number)

    async def supervise(self) -> None:
        """Start again what has ended without being told to."""
        while True:
            await asyncio.sleep(_LOOK)
            for name in self.plan.processes:
                process = self.library.processes.get(name)
                if process is not None and process.returncode is not None and not self.locks[name].locked():
                    self.ended.append(f"{name} ended with {process.returncode}")
                    await self.start(name)

    def _server(self, name: str) -> Server:
        return self.nats if name == "nats" else self.postgres


@asynccontextmanager
async def template(folder: Path) -> AsyncIterator[Path]:
    """Folders of servers with everything migrated, and led once by a sync with nothing to follow. All have stopped."""
    postgres = Server(Postgres(folder / "postgres", free_port(), _PASSWORD, durable=False), folder / "postgres.log")
    nats = Server(Nats(folder / "nats", Ports(), _PASSWORD), folder / "nats.log")
    await postgres.start()
    await nats.start()
    try:
        env = {**os.environ, **_QUICK, "POSTGRES_DSN": postgres.url, "NATS_URL": nats.url}
        library = Library(postgres.url, nats.url, "", folder, env)
        await library.start("migrator")
        assert await library.processes["migrator"].wait() == 0, (folder / "migrator.log").read_text()
        session = await library.connect()
        await session.execute(TABLES)
        await library.start("sync")

        async def led() -> bool:
            return bool(await session.fetchval("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE active)"))

        await until(led, "sync leads")
        await library.kill("sync", signal.SIGTERM)
        await session.close()
    finally:
        await postgres.stop()
        await nats.stop()
    yield folder


@asynccontextmanager
async def stage(plan: Plan, made: Path, folder: Path) -> AsyncIterator[Stage]:
    """Servers and processes of the plan, started; `made` is the template."""
    await asyncio.to_thread(_copy, made, folder)
    on = Stage(plan, folder)
    async with AsyncExitStack() as open_:
        for name in ("postgres", "nats"):
            await on.start(name)
            open_.push_async_callback(on.end, name, signal.SIGKILL)
        for name in plan.links:
            on.links[name] = await open_.enter_async_context(relay(_target(on, name)))
        open_.push_async_callback(_end_all, on)
        for name in plan.processes:
            await on.start(name)
        await asyncio.gather(*map(on.library.active, on.apis))
        supervising = asyncio.create_task(on.supervise())
        try:
            yield on
        finally:
            await ended([supervising])


async def _end_all(on: Stage) -> None:
    for name in list(on.library.processes):
        on.tell(name, signal.SIGCONT)
        await on.library.kill(name, signal.SIGKILL)


def _target(on: Stage, link: str) -> str:
    return on.nats.url if link.endswith("-nats") else on.postgres.url


def _by_way_of(url: str, way: Relay) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{urlsplit(way.url).netloc}"))


def _copy(made: Path, folder: Path) -> None:
    """With their owners."""
    for name in ("postgres", "nats"):
        subprocess.run(["/bin/cp", "-a", "--reflink=auto", made / name, folder / name], check=True)
