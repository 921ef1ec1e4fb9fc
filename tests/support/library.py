"""A library for tests: migrator, sync and api as real processes on a database and a bus of their own."""

import asyncio
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from medley.cli.embedded.ports import free_port
from medley.client import Copy, follow
from tests.support import forks, web

_PATIENCE = 60.0
# Postgres's text forms, so that a copy can be compared with what SELECT says.
_SESSION = {"bytea_output": "hex", "DateStyle": "ISO, DMY", "TimeZone": "UTC", "IntervalStyle": "iso_8601"}


@dataclass
class Library:
    """Addresses, and the processes by name: they can be killed and started again."""

    dsn: str
    nats_url: str
    api: str
    logs: Path
    env: dict[str, str]
    processes: dict[str, forks.Running] = field(default_factory=dict)

    async def start(self, name: str, service: str | None = None, **env: str) -> None:
        """Start `services.<service>` under this name; its output is in `logs/<name>.log`."""
        log = self.logs / f"{name}.log"
        self.processes[name] = await forks.start(f"services.{service or name}", (), {**self.env, **env}, log, log)

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        if process.returncode is None:
            process.send_signal(number)
        await process.wait()

    async def active(self, api: str | None = None) -> None:
        """Wait until the API, or another one, says that shapes are served and changes captured."""
        async with web.client() as http:

            async def healthy() -> bool:
                try:
                    answer = await http.get(f"{api or self.api}/v1/health")
                except httpx.TransportError:
                    return False
                return bool(answer.json() == {"status": "active"})

            await until(healthy, "the library is active")

    async def connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.dsn, server_settings=_SESSION)


@asynccontextmanager
async def running_library(dsn: str, nats_url: str, logs: Path, **env: str) -> AsyncIterator[Library]:
    """Migrate, start sync and api, and wait until they are active."""
    port = free_port()
    environment = {
        **os.environ,
        "POSTGRES_DSN": dsn,
        "NATS_URL": nats_url,
        "API_PORT": str(port),
        "SYNC_SLOT": f"test_{secrets.token_hex(6)}",
        "LOG_FORMAT": "json",
        **env,
    }
    library = Library(dsn, nats_url, f"http://127.0.0.1:{port}", logs, environment)
    try:
        await library.start("migrator")
        assert await library.processes.pop("migrator").wait() == 0, (logs / "migrator.log").read_text()
        await library.start("sync")
        await library.start("api")
        await library.active()
        yield library
    finally:
        for name in list(library.processes):
            await library.kill(name, signal.SIGTERM)


async def until(condition: Callable[[], Awaitable[bool]], what: str, patience: float = _PATIENCE) -> None:
    """Wait for a condition; fails, naming it, when it does not come true."""
    deadline = time.monotonic() + patience
    while not await condition():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        await asyncio.sleep(0.02)


class Follower:
    """A client that follows one shape in the background and keeps a copy of it."""

    def __init__(self, api: str, table: str, **query: Any) -> None:
        self.copy = Copy()
        self.messages: list[dict[str, Any]] = []
        self._task = asyncio.create_task(self._follow(api, table, query))

    async def _follow(self, api: str, table: str, query: dict[str, Any]) -> None:
        async for messages in follow(api, table, **query):
            self.copy.apply(messages)
            self.messages += messages

    async def __aenter__(self) -> "Follower":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def check(self) -> None:
        """Raises what ended the following, which ends by failing only."""
        if self._task.done():
            self._task.result()

    async def reaches(self, rows: list[dict[str, str | None]], patience: float = _PATIENCE) -> None:
        """Wait until the copy holds exactly these rows, and check that nothing was lost or doubled on the way."""
        wanted, looked = _counted(rows), -1

        async def equal() -> bool:
            nonlocal looked
            self.check()
            if not self.copy.up_to_date or len(self.copy.rows) != len(rows) or looked == len(self.messages):
                return False
            looked = len(self.messages)  # only what is new can have made them equal
            return _counted(self.copy.rows.values()) == wanted

        try:
            await until(equal, "the copy equals SELECT", patience)
        except AssertionError:
            have = _counted(self.copy.rows.values())
            missing, extra = [*(wanted - have).elements()], [*(have - wanted).elements()]
            found = f"missing {[*map(sorted, missing[:5])]} ({len(missing)}), extra {[*map(sorted, extra[:5])]}"
            raise AssertionError(f"{found} ({len(extra)})") from None
        assert self.copy.faults == []


def _counted(rows: Iterable[dict[str, str | None]]) -> Counter[frozenset[tuple[str, str | None]]]:
    """A table without a key may hold a row twice."""
    return Counter(frozenset(row.items()) for row in rows)


async def rows_of(connection: asyncpg.Connection, table: str, where: str = "true") -> list[dict[str, str | None]]:
    """The table as clients see it: every value in Postgres's output text."""
    columns = [
        row["column_name"]
        for row in await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema || '.' || table_name = $1"
            " ORDER BY ordinal_position",
            table if "." in table else f"public.{table}",
        )
    ]
    selected = ", ".join(f'CASE WHEN "{c}" IS NOT NULL THEN format(\'%s\', "{c}") END AS "{c}"' for c in columns)
    return [dict(row) for row in await connection.fetch(f"SELECT {selected} FROM {table} WHERE {where}")]
