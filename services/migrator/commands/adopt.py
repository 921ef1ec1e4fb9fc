"""`baseline` and `resolve`: a person's word on what a database already has. Each is checked before it is recorded."""

from collections.abc import Sequence

import asyncpg

from medley.gate import catalogue
from medley.gate import ledger as reading
from medley.gate.compatibility import compare
from medley.gate.judge import difference
from medley.gate.objects import Catalogue, patched
from medley.gate.records import Compat, Ledger
from medley.runtime.errors import MedleyError, Permanent
from services.migrator import ledger as writing
from services.migrator.apply import accepted
from services.migrator.commands.report import DRIFT, OK, Report
from services.migrator.migrations import Migration
from services.migrator.scratch.rehearsal import Rehearse
from services.migrator.sql.directives import read_script


class Differs(MedleyError):
    """The live schema is not the one that the files make."""

    exit_code = DRIFT


def _named(files: Sequence[Migration], filename: str) -> Migration:
    for migration in files:
        if migration.filename == filename:
            return migration
    have = ", ".join(migration.filename for migration in files[-3:]) or "none"
    raise Permanent(f"there is no migration {filename}; the newest here are {have}")


def _refuse_differences(meant: Catalogue, live: Catalogue, what: str) -> None:
    lines = difference(meant, live)
    if lines:
        raise Differs(f"{what} (+ only in the database, - only in the files, ~ different):\n" + "\n".join(lines))


async def baseline(connection: asyncpg.Connection, files: Sequence[Migration], at: str, rehearse: Rehearse) -> Report:
    """Record everything up to `at` as applied, if the live schema is what those files make. Raises Differs if not."""
    upto = files[: files.index(_named(files, at)) + 1]
    ledger = await reading.read(connection)
    if ledger.applied:
        raise Permanent(
            f"found a history of {len(ledger.applied)} migrations, needed a database without one; it needs no baseline"
        )
    steps = await rehearse(upto)
    live = await catalogue.read(connection)
    _refuse_differences(steps[-1].catalogue, live, f"the database is not what the files up to {at} make")
    await writing.prepare(connection)
    async with connection.transaction():
        ledger = await reading.read(connection)
        for step in steps:
            expected = live if step is steps[-1] else step.catalogue
            ledger = await writing.record(connection, step.migration, ledger, expected, step.compat, "baseline")
    names = [migration.filename for migration in upto]
    return Report(f"recorded as applied: {', '.join(names)}", {"recorded": names, "fingerprint": live.fingerprint})


def _started(ledger: Ledger, migration: Migration) -> None:
    row = next((row for row in ledger.started if row.filename == migration.filename), None)
    if row is None:
        raise Permanent(
            f"{migration.filename} is not one that was started and did not end; there is nothing to resolve"
        )
    if row.checksum != migration.checksum:
        raise Permanent(f"{migration.filename} was changed since it was started; restore it, then resolve it")


async def retry(connection: asyncpg.Connection, files: Sequence[Migration], filename: str) -> Report:
    """It was not done: the next `apply` runs it again."""
    migration = _named(files, filename)
    _started(await reading.read(connection), migration)
    await writing.end(connection, filename)
    return Report(f"{filename} is pending again; run `medley migrate apply`", {"retry": filename})


async def applied(connection: asyncpg.Connection, files: Sequence[Migration], filename: str) -> Report:
    """It was done: the live schema as it is now is what it made. Refused while an INVALID index is there."""
    migration = _named(files, filename)
    ledger = await reading.read(connection)
    _started(ledger, migration)
    live = await catalogue.read(connection)
    before = await writing.before_start(connection, filename) or live
    recorded = ledger.recorded or before
    broken = [row["index"] for row in await writing.invalid_indexes(connection)]
    if broken:
        raise Permanent(f"found INVALID indexes: {', '.join(broken)}; needed: valid ones. Drop or rebuild them first")
    compat = Compat(tuple(compare(before, live)), accepted(read_script(filename, migration.text)))
    async with connection.transaction():
        await writing.end(connection, filename)
        await writing.record(connection, migration, ledger, patched(recorded, before, live), compat, "resolved")
    return Report(f"{filename} is recorded as applied", {"applied": filename, "fingerprint": live.fingerprint})


async def edited(
    connection: asyncpg.Connection, files: Sequence[Migration], filename: str, rehearse: Rehearse
) -> Report:
    """Take the file as it is now for the one that ran, if all files still make the recorded schema."""
    migration = _named(files, filename)
    ledger = await reading.read(connection)
    row = next((row for row in ledger.applied if row.filename == filename), None)
    if row is None:
        raise Permanent(f"{filename} is not applied; edit it as you like")
    if row.checksum == migration.checksum:
        return Report(f"{filename} is what ran; nothing to do", {"edited": None})
    by_name = {file.filename: file for file in files}
    steps = await rehearse([by_name[name] for name in ledger.names if name in by_name])
    if ledger.recorded is None or steps[-1].catalogue.fingerprint != ledger.fingerprint:
        _refuse_differences(
            steps[-1].catalogue, ledger.recorded or Catalogue(()), f"the edit of {filename} makes another schema"
        )
        raise Differs(f"the edit of {filename} makes another schema")
    await writing.edit(connection, migration, ledger)
    return Report(f"{filename} is recorded as it is now", {"edited": filename}, OK)
