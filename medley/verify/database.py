"""The session that verifies rows: one snapshot at a time, read only, and in the text that clients get.

It holds back vacuum and DDL of the table while it reads, as pg_dump does, and never waits long for a lock.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import asyncpg

from medley.runtime import copying, postgres, statements
from medley.sql.copy_text import fields
from medley.sql.quoting import quote_identifier
from medley.sql.visibility import Snapshot

SQL = statements.load(__file__)
_WAIT_SECONDS = 5.0


class Relation(NamedTuple):
    """A table: `sql` as FROM names it, its own name."""

    oid: int
    schema: str
    name: str
    sql: str


class Database:
    """`reader` is the session; `pool` is for what needs no snapshot."""

    def __init__(self, reader: asyncpg.Connection, pool: asyncpg.Pool) -> None:
        self.reader = reader
        self.pool = pool

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str) -> AsyncIterator["Database"]:
        """Raises Unavailable, ConfigurationError."""
        # Rows in the same order each time: what is told of a large difference stays the same.
        reader = await postgres.connect(
            dsn, _WAIT_SECONDS, "medley-verify", synchronize_seqscans="off", lock_timeout="10s"
        )
        try:
            async with asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=3,
                command_timeout=60,
                server_settings={**postgres.SESSION, "application_name": "medley-verify"},
            ) as pool:
                yield cls(reader, pool)
        finally:
            with suppress(*postgres.FAILURES):
                await reader.close(timeout=5)

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[tuple[Snapshot, int]]:
        """A snapshot, and an LSN: whatever it sees was committed below that."""
        async with self.reader.transaction(isolation="repeatable_read", readonly=True):
            row = await self.reader.fetchrow(SQL["moment"])
            assert row is not None
            await self.pool.execute(SQL["nudge"])
            yield Snapshot.parse(row["snapshot"]), row["written"]

    async def relation(self, oid: int) -> Relation | None:
        row = await self.reader.fetchrow(SQL["relation"], oid)
        if row is None:
            return None
        name = f"{quote_identifier(row['schema_name'])}.{quote_identifier(row['table_name'])}"
        return Relation(oid, row["schema_name"], row["table_name"], name if row["partitioned"] else f"ONLY {name}")

    async def rows(self, query: str) -> AsyncIterator[list[list[str | None]]]:
        """In the text that Postgres writes, as many at a time as have arrived; it is held back while we are busy."""
        async for found in copying.lines(self.reader, query):
            yield [fields(line) for line in found]
