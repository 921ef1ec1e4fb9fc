"""Publishing jobs to the queue, and waiting for what becomes of them."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from nats.aio.client import Client

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


class Queue:
    """The queue of one bus and the rows of one database, as a client sees them."""

    def __init__(self, client: Client, pool: asyncpg.Pool) -> None:
        self.js = client.jetstream()
        self.pool = pool

    async def publish(self, source: dict[str, Any], *, message_id: str | None = None, **fields: Any) -> UUID:
        """`message_id`: another one than the job's, to get past the queue's own protection against doubles."""
        job_id = UUID(str(fields.pop("job_id", None) or uuid4()))
        body = {"job_id": str(job_id), "source": source} | fields
        await self.raw(json.dumps(body).encode(), message_id or str(job_id))
        return job_id

    async def raw(self, body: bytes, message_id: str | None = None) -> int:
        """Any bytes at all; gives their place in the queue."""
        known = {"Nats-Msg-Id": message_id} if message_id else None
        return (await self.js.publish("ingest.jobs.normal", body, headers=known)).seq

    async def row(self, job_id: UUID) -> asyncpg.Record | None:
        return await self.pool.fetchrow("SELECT * FROM ingest_jobs WHERE id = $1", job_id)

    async def ended(self, job_id: UUID, within: float = 60) -> asyncpg.Record:
        """The job's row once it is done or failed."""
        async with asyncio.timeout(within):
            while (row := await self.row(job_id)) is None or row["state"] not in ("done", "failed"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return row

    async def empty(self, within: float = 60) -> None:
        """Until every message was acknowledged."""
        async with asyncio.timeout(within):
            while (await self.js.stream_info("INGEST")).state.messages:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def dead(self) -> list[tuple[str, bytes]]:
        """Every dead letter: its reason and its body."""
        letters = []
        last = (await self.js.stream_info("INGEST_DEAD")).state.last_seq
        for sequence in range(1, last + 1):
            message = await self.js.get_msg("INGEST_DEAD", sequence)
            letters.append(((message.headers or {})["Medley-Reason"], message.data or b""))
        return letters

    async def count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table}"))


def path(name: str | Path) -> dict[str, Any]:
    """A source: a sample by its name, or any other file."""
    return {"kind": "path", "path": str(SAMPLES / name)}


def inline(data: bytes) -> dict[str, Any]:
    return {"kind": "inline", "data": base64.b64encode(data).decode()}
