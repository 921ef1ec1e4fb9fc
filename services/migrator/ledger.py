"""The ledger as the migrator writes it. Reading is everybody's: `medley.gate.ledger`."""

from collections.abc import Mapping, Sequence

import asyncpg

from medley.gate import history
from medley.gate.ledger import read
from medley.gate.objects import Catalogue, from_json
from medley.gate.records import Applied, Compat, Ledger
from medley.runtime import statements
from medley.runtime.errors import Permanent
from services.migrator.migrations import Migration

SQL = statements.load(__file__)


async def prepare(connection: asyncpg.Connection) -> None:
    """Make the ledger, or give that of an earlier migrator what it lacks."""
    if await connection.fetchval(SQL["is_current"]):
        return
    if await connection.fetchval(SQL["is_anothers"]):
        raise Permanent(
            "found a table schema_versions that is no ledger of ours (it has no filename and applied_at); needed: that "
            "name. Rename that table, or give Medley a database of its own"
        )
    async with connection.transaction():
        await connection.execute(SQL["create_ledger"])
        await connection.execute(SQL["alter_ledger"])


async def complete(
    connection: asyncpg.Connection, ledger: Ledger, files: Sequence[Migration], live: Catalogue
) -> Ledger:
    """Fill in what an earlier migrator, `init.sql` or a hand did not record, from the files and the live schema.

    A fingerprint that was recorded stands: where the live schema has another, that is drift and not to be covered up.
    """
    if not ledger.applied or (ledger.recorded is not None and all(row.history for row in ledger.applied)):
        return ledger
    by_name = {migration.filename: migration for migration in files}
    value = ""
    async with connection.transaction():
        for position, row in enumerate(ledger.applied, 1):
            file = by_name.get(row.filename)
            checksum = row.checksum or (file.checksum if file else "")
            text = file.text if file and file.checksum == checksum else None
            value = history.extend(value, row.filename, checksum)
            await connection.execute(SQL["complete"], row.filename, checksum or None, position, text, value)
        head = ledger.applied[-1]
        expected = ledger.recorded or (live if head.fingerprint in (None, live.fingerprint) else None)
        if expected is not None:
            await connection.execute(SQL["keep_catalogue"], head.filename, expected.fingerprint, expected.as_json())
    return await read(connection)


async def record(
    connection: asyncpg.Connection,
    migration: Migration,
    ledger: Ledger,
    expected: Catalogue,
    compat: Compat,
    remark: str | None,
) -> Ledger:
    """Add the row of a migration that has just run in this transaction; gives the ledger with it.

    The newest row, and only that, keeps the catalogue: a run that ends early, however, leaves what drift is told from.
    """
    value = history.extend(ledger.history or "", migration.filename, migration.checksum)
    applied_at = await connection.fetchval(
        SQL["record"],
        migration.filename,
        migration.checksum,
        len(ledger.applied) + 1,
        migration.text,
        value,
        expected.fingerprint,
        compat.as_json(),
        remark,
        expected.as_json(),
    )
    await connection.execute(SQL["forget_catalogue"], migration.filename)
    row = Applied(migration.filename, applied_at, migration.checksum, value, expected.fingerprint, compat, remark)
    return Ledger(True, (*ledger.applied, row), ledger.started, expected)


async def edit(connection: asyncpg.Connection, migration: Migration, ledger: Ledger) -> None:
    """Take an edited text for the one that ran; the history hashes from there on follow it."""
    async with connection.transaction():
        await connection.execute(SQL["edit"], migration.filename, migration.checksum, migration.text, "edited")
        checksums: Mapping[str, str] = {migration.filename: migration.checksum}
        value = ""
        for row in ledger.applied:
            value = history.extend(value, row.filename, checksums.get(row.filename, row.checksum or ""))
            await connection.execute(SQL["rechain"], row.filename, value)


async def start(connection: asyncpg.Connection, migration: Migration, before: Catalogue) -> None:
    """It is about to run outside a transaction, on a schema as it is in `before`."""
    await connection.execute(SQL["create_started"])
    await connection.execute(SQL["start"], migration.filename, migration.checksum, before.as_json())


async def before_start(connection: asyncpg.Connection, filename: str) -> Catalogue | None:
    """What the schema was when it was started."""
    text = await connection.fetchval(SQL["before_start"], filename)
    return from_json(text) if text else None


async def end(connection: asyncpg.Connection, filename: str) -> None:
    await connection.execute(SQL["end"], filename)


async def try_lock(connection: asyncpg.Connection) -> bool:
    """The session lock that one migrator holds for its whole run; the server drops it with the session."""
    return bool(await connection.fetchval(SQL["try_lock"]))


async def holds_lock(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(SQL["holds_lock"]))


async def unlock(connection: asyncpg.Connection) -> None:
    await connection.execute(SQL["unlock"])


async def invalid_indexes(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """`index`, `table`, `running` of every index that queries do not use."""
    return list(await connection.fetch(SQL["invalid_indexes"]))
