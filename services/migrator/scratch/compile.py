"""`compile`: every fault of every file; without faults, the bundle and `init.sql`, one text for one schema."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from medley.gate import bundle as bundles
from medley.gate import catalogue, history
from medley.gate.bundle import Bundle, BundleMigration
from medley.runtime.errors import Permanent
from services.migrator.migrations import Migration
from services.migrator.scratch.check import find_faults
from services.migrator.scratch.database import scratch_database
from services.migrator.scratch.dump import init_sql
from services.migrator.scratch.rehearsal import Step, steps
from services.migrator.sql.directives import Script, read_script
from services.migrator.sql.faults import Fault


@dataclass(frozen=True, slots=True)
class Compiled:
    """With faults there is nothing else."""

    faults: tuple[Fault, ...] = ()
    bundle: Bundle | None = None
    init: str = ""


async def compile_(files: Sequence[Migration], server_dsn: str) -> Compiled:
    """Three scratch databases: to find every fault, to see what the files make, to see what a client ends with."""
    scripts = [read_script(migration.filename, migration.text) for migration in files]
    async with scratch_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            faults = await find_faults(connection, scripts)
        finally:
            await connection.close()
    if faults:
        return Compiled(tuple(faults))
    async with scratch_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            made = await steps(connection, files)
            init = await init_sql(dsn, connection, made)
        finally:
            await connection.close()
    whole = all(statement.replicated for script in scripts for statement in script.statements)
    replica = made[-1].catalogue.fingerprint if whole and made else await _replica(scripts, server_dsn)
    return Compiled(bundle=_bundle(scripts, made, replica), init=init)


async def _replica(scripts: Sequence[Script], server_dsn: str) -> str:
    """What a client ends with. Raises Permanent when what is replicated does not stand alone."""
    async with scratch_database(server_dsn) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            for script in scripts:
                for statement in (each for each in script.statements if each.replicated):
                    try:
                        await connection.execute(statement.text)
                    except asyncpg.PostgresError as error:
                        raise Permanent(
                            f"{script.filename}:{statement.line}:{statement.column}: clients cannot run this: {error}; "
                            "it needs what is for the server alone. Move it out of the markers, or that into them"
                        ) from error
            return (await catalogue.read(connection)).fingerprint
        finally:
            await connection.close()


def _bundle(scripts: Sequence[Script], made: Sequence[Step], replica: str) -> Bundle:
    migrations, value = [], ""
    for script, step in zip(scripts, made, strict=True):
        value = history.extend(value, step.migration.filename, step.migration.checksum)
        migrations.append(
            BundleMigration(
                filename=step.migration.filename,
                checksum=step.migration.checksum,
                history=value,
                reader=step.compat.of("reader"),
                writer=step.compat.of("writer"),
                replica=step.compat.of("replica"),
                statements=tuple(statement.text for statement in script.statements if statement.replicated),
            )
        )
    live = made[-1].catalogue if made else catalogue.Catalogue(())
    return Bundle(
        fingerprint=live.fingerprint,
        replica_fingerprint=replica,
        history=value,
        migrations=tuple(migrations),
        tables=bundles.tables(live),
        relations=bundles.relations(live),
        fingerprint_sql=bundles.fingerprint_sql(),
    )
