"""What the demo tells: follows the shapes, publishes the jobs, prints each row with its time from commit, then a table.

The time from commit needs no help from the shape: the topic `changes.public.>` gives each transaction's commit time by
LSN, and a row of a shape's log names its LSN.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
from nats.aio.msg import Msg
from rich.console import Console

from medley.cli import addresses, jobs, library
from medley.client.http import Message, follow, http_client
from medley.client.materialise import Copy
from medley.contracts.jobs import IngestJob
from medley.runtime import bus

_PATIENCE = 10.0  # seconds to wait for rows that a finished job promises
SHOWN = ("songs", "media_blobs")


class Story:
    """One telling against a running stack."""

    def __init__(self, api: str, nats: str, console: Console) -> None:
        self.api = api
        self.nats = nats
        self.console = console
        self.copies = {table: Copy() for table in SHOWN}
        self.outcomes = jobs.Outcomes()
        self._committed: dict[str, datetime] = {}
        self._news = asyncio.Event()
        self._started = 0.0

    async def tell(self, asked: list[IngestJob]) -> None:
        """From the first job to the table."""
        client = await addresses.bus_client(self.nats)
        async with http_client(self.api) as http, asyncio.TaskGroup() as group:
            await client.subscribe("changes.public.>", cb=self._note_commit)
            followers = [group.create_task(self._follow(http, table)) for table in (*SHOWN, jobs.TABLE)]
            await self._until(self._live)
            self.outcomes.expect(asked)
            self._started = time.monotonic()
            await jobs.publish(client.jetstream(), asked)
            await self._until(lambda: len(self.outcomes.ended()) == len(asked))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._until(self._complete), _PATIENCE)
            took = time.monotonic() - self._started
            for follower in followers:
                follower.cancel()
            await bus.close(client)
        library.show(self.console, self.copies["songs"], self.copies["media_blobs"], self.outcomes, took)

    async def _note_commit(self, message: Msg) -> None:
        change = json.loads(message.data)
        self._committed[change["lsn"]] = datetime.fromisoformat(change["commit_time"])

    async def _follow(self, http: httpx.AsyncClient, table: str) -> None:
        copy = self.outcomes.copy if table == jobs.TABLE else self.copies[table]
        async for batch in follow(self.api, table, client=http):
            arrived = datetime.now(UTC)
            live = copy.up_to_date
            copy.apply(batch)
            self._news.set()
            if table in SHOWN and live:
                for message in batch:
                    await self._print(table, message, arrived)

    async def _print(self, table: str, message: Message, arrived: datetime) -> None:
        """A row that has come while the story is told; what was there before goes into the table only."""
        headers = message["headers"]
        if headers.get("operation") != "insert" or "lsn" not in headers:
            return
        committed = await self._commit_time(headers["lsn"])
        age = f"{(arrived - committed).total_seconds() * 1000:7.1f} ms" if committed else "         ?"
        line = f"{age} after commit  {library.describe(table, message['value'])}"
        self.console.print(line, highlight=False, soft_wrap=True)

    async def _commit_time(self, lsn: str) -> datetime | None:
        """Of this transaction; its topic may be a moment behind its shape."""
        for _ in range(50):
            if lsn in self._committed:
                break
            await asyncio.sleep(0.01)
        return self._committed.get(lsn)

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._news.clear()
            await self._news.wait()

    def _live(self) -> bool:
        return all(copy.up_to_date for copy in (*self.copies.values(), self.outcomes.copy))

    def _complete(self) -> bool:
        """Whether every row that a job says it made has arrived."""
        blobs = {row["id"] for row in self.copies["media_blobs"].rows.values()}
        songs = {row["id"] for row in self.copies["songs"].rows.values()}
        return all(
            row["blob_id"] in {None, *blobs} and row["song_id"] in {None, *songs}
            for row in self.outcomes.ended().values()
        )
