"""A database with a history: files that a migrator applies, changes by hand, and what the gate says to a build."""

import asyncio
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from medley.cli.embedded.wheels import postgres_bin
from medley.gate.gate import ask
from medley.gate.judge import Answer, Build
from medley.gate.shipped import Shipped, shipped
from medley.runtime.settings import SchemaSettings
from services.migrator.app import migrate
from tests.support.migrated import postgres_settings


@dataclass
class History:
    """`folder` holds the files; each call of `migrated` adds one and applies it."""

    dsn: str
    folder: Path
    number: int = 1600000000

    async def migrated(self, text: str) -> str:
        """Apply one more file; its name."""
        name = self.add(text)
        await self.apply()
        return name

    def add(self, text: str) -> str:
        self.number += 1
        name = f"{self.number}_change.sql"
        (self.folder / name).write_text(text)
        return name

    async def apply(self) -> None:
        await migrate(postgres_settings(self.dsn), None, SchemaSettings(dir=self.folder))

    def shipped(self) -> tuple[Shipped, ...]:
        """What a build of now has with it."""
        return shipped(self.folder)

    async def by_hand(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def answer(self, build: Build) -> Answer:
        connection = await asyncpg.connect(self.dsn)
        try:
            return (await ask(connection, build)).answer
        finally:
            await connection.close()

    async def restored(self, dsn: str) -> "History":
        """The same in another database, by way of a dump."""
        dump = await _run("pg_dump", "--no-owner", self.dsn)
        await _run("psql", "-qX", "-v", "ON_ERROR_STOP=1", dsn, stdin=dump)
        return History(dsn, self.folder, self.number)


async def _run(program: str, *arguments: str, stdin: bytes = b"") -> bytes:
    process = await asyncio.create_subprocess_exec(
        postgres_bin() / program, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    output, errors = await process.communicate(stdin)
    assert process.returncode == 0, errors.decode()
    return output
