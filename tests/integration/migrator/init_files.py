"""Migrations that write rows of every kind, and how a person runs `init.sql`."""

import asyncio
import os
from pathlib import Path

import asyncpg

from medley.cli.embedded.wheels import postgres_bin
from medley.gate import catalogue
from medley.gate.objects import Catalogue
from medley.runtime.settings import SchemaSettings
from services.migrator import migrations
from services.migrator.app import migrate
from services.migrator.commands.report import Report
from services.migrator.commands.status import look
from services.migrator.commands.status import status as status_of
from tests.support.migrated import postgres_settings
from tests.support.migrator import Done

# With the client programs of the newest Postgres, as `medley migrate` sets it.
PATH = os.pathsep.join((str(postgres_bin()), os.environ["PATH"]))
RICH = (Path(__file__).parents[1] / "gate" / "rich_schema.sql").read_text(encoding="utf-8")
WRITTEN = Path(__file__).with_name("written.sql").read_text(encoding="utf-8")


async def psql(dsn: str, path: Path, *options: str) -> Done:
    """`psql -f`, as somebody who wants to know whether it worked."""
    process = await asyncio.create_subprocess_exec(
        *(str(postgres_bin() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *options, "-f", str(path), "-d", dsn),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


async def answers(dsn: str, *queries: str) -> list[list[tuple[object, ...]]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [[tuple(row) for row in await connection.fetch(query)] for query in queries]
    finally:
        await connection.close()


async def catalogue_of(dsn: str) -> Catalogue:
    connection = await asyncpg.connect(dsn)
    try:
        return await catalogue.read(connection)
    finally:
        await connection.close()


async def apply(dsn: str, folder: Path) -> None:
    """What `medley migrate apply` does."""
    await migrate(postgres_settings(dsn), None, SchemaSettings(dir=folder))


async def status(dsn: str, folder: Path) -> Report:
    """What `medley migrate status` says."""
    connection = await asyncpg.connect(dsn)
    try:
        return status_of(await look(connection, migrations.read(folder)), dsn)
    finally:
        await connection.close()
