"""`compile`: every fault of every file; without faults, the bundle and `init.sql`, one text for one schema."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from medley.gate import bundle as bundles
from medley.gate import catalogue, history
from medley.gate.bundle import Bundle, BundleMigration
from medley.gate.objects import Catalogue
from services.migrator.migrations import Migration
from services.migrator.scratch import rows
from services.migrator.scratch.check import find_faults
from services.migrator.scratch.database import scratch_session
from services.migrator.scratch.dump import init_sql
from services.migrator.scratch.rehearsal import Step, steps
from services.migrator.scratch.rows import Written
from services.migrator.sql.directives import Script, read_script
from services.migrator.sql.faults import Fault


@dataclass(frozen=True, slots=True)
class Compiled:
    """With faults there is nothing else."""

    faults: tuple[Fault, ...] = ()
    bundle: Bundle | None = None
    init: str = ""


async def compile_(files: Sequence[Migration], server_dsn: str) -> Compiled:
    """Scratch databases, one after the other: to find every fault, to see what the files make, and what a client ends
    with."""
    scripts = [read_script(migration.filename, migration.text) for migration in files]
    async with scratch_session(server_dsn) as scratch:
        faults = await find_faults(scratch.connection, scripts, scratch.roles)
        again = Written() if faults else await rows.read(scratch.connection)
    whole = all(statement.replicated for script in scripts for statement in script.statements)
    replica = None if faults or whole else await _replica(scripts, server_dsn)
    if faults or (replica and replica.faults):
        return Compiled(tuple(faults) or (replica.faults if replica else ()))
    async with scratch_session(server_dsn) as scratch:
        made = await steps(scratch.connection, files, scratch.roles)
        init = await init_sql(scratch.dsn, scratch.connection, scripts, made, again)
    return Compiled(bundle=_bundle(scripts, made, replica.catalogue if replica else None), init=init)


class _Replica(NamedTuple):
    faults: tuple[Fault, ...]
    catalogue: Catalogue


async def _replica(scripts: Sequence[Script], server_dsn: str) -> _Replica:
    """What a client ends with, and what it cannot run: the replicated statements have to stand alone."""
    parts = [replace(s, statements=tuple(each for each in s.statements if each.replicated)) for s in scripts]
    async with scratch_session(server_dsn) as scratch:
        faults = await find_faults(scratch.connection, parts, scratch.roles)
        return _Replica(tuple(_for_clients(fault) for fault in faults), await catalogue.read(scratch.connection))


def _for_clients(fault: Fault) -> Fault:
    what = f"clients cannot run this without what is for the server alone: {fault.what}"
    return replace(fault, what=f"{what}; move it out of the markers, or what it needs into them")


def _bundle(scripts: Sequence[Script], made: Sequence[Step], replica: Catalogue | None) -> Bundle:
    """`replica`: what clients end with, where that is not the whole."""
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
                transaction=not script.no_transaction,
                statements=tuple(statement.text for statement in script.statements if statement.replicated),
            )
        )
    live = made[-1].catalogue if made else Catalogue(())
    theirs = replica or live
    return Bundle(
        fingerprint=live.fingerprint,
        replica_fingerprint=theirs.fingerprint,
        history=value,
        migrations=tuple(migrations),
        types=bundles.types(theirs),
        tables=bundles.tables(theirs),
        relations=bundles.relations(theirs),
        fingerprint_sql=bundles.fingerprint_sql(),
    )
