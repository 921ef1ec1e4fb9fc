"""What a run would do, decided before anything is touched. Pure: files and ledger in, a plan or refusals out."""

from collections.abc import Sequence
from dataclasses import dataclass

from medley.gate.records import Ledger
from services.migrator.migrations import Migration


@dataclass(frozen=True, slots=True)
class Plan:
    """`pending` in the order in which they run. With refusals nothing runs.

    `ahead`: what the database has and this build has never seen, all of it newer than every file here.
    """

    pending: tuple[Migration, ...] = ()
    ahead: tuple[str, ...] = ()
    out_of_order: frozenset[str] = frozenset()
    refusals: tuple[str, ...] = ()


def plan(files: Sequence[Migration], ledger: Ledger, allow_out_of_order: bool = False) -> Plan:
    """Validate the history by name, then say what is pending."""
    known = {migration.filename for migration in files}
    done = set(ledger.names)
    pending = tuple(migration for migration in files if migration.filename not in done)
    unknown = sorted(done - known)
    newest_file = max(known, default="")
    ahead = tuple(name for name in unknown if name > newest_file)
    refusals = [
        *_changed(files, ledger),
        *(_missing(name) for name in unknown if name not in ahead),
        *_started(ledger),
    ]
    late = {migration.filename: _newer(migration, ledger) for migration in pending if _newer(migration, ledger)}
    if not allow_out_of_order:
        refusals += [_late(name, newer) for name, newer in late.items()]
    return Plan(pending, ahead, frozenset(late), tuple(refusals))


def breaking(ledger: Ledger, ahead: Sequence[str]) -> list[str]:
    """Of what this build has never seen: what breaks its readers or writers, or was never classified."""
    rows = (row for row in ledger.applied if row.filename in ahead)
    return [
        row.filename
        for row in rows
        if row.compat is None or any(row.compat.of(role) == "breaking" for role in ("reader", "writer"))
    ]


def ahead_of(ledger: Ledger, ahead: Sequence[str]) -> str:
    """What a database has that this build has not, and what follows."""
    names, breaks = ", ".join(ahead), breaking(ledger, ahead)
    if breaks:
        return (
            f"found a database ahead by {names}; {', '.join(breaks)} breaks this build; needed: a build that has it. "
            "Deploy that one"
        )
    return f"found a database ahead by {names}; that is compatible with this build, which needs nothing of it"


def _changed(files: Sequence[Migration], ledger: Ledger) -> list[str]:
    by_name = {migration.filename: migration for migration in files}
    return [
        f"{row.filename} was changed after it was applied (found {by_name[row.filename].checksum[:12]}, applied "
        f"{row.checksum[:12]}); restore it and put the change into a new migration; `medley migrate status` shows what "
        f"changed, and `medley migrate resolve {row.filename} --edited` accepts an edit that makes the same schema"
        for row in ledger.applied
        if row.checksum and row.filename in by_name and row.checksum != by_name[row.filename].checksum
    ]


def _missing(name: str) -> str:
    return (
        f"{name} is applied, and its file is missing here though newer files are there; needed: the file as it ran. "
        "Restore it from version control: a history must be whole"
    )


def _started(ledger: Ledger) -> list[str]:
    return [
        f"{row.filename} runs outside a transaction, was started at {row.started_at:%Y-%m-%d %H:%M:%S} UTC and is not "
        "known to have ended; needed: your word on what became of it. Look at what it was to make (`medley migrate "
        f"status` lists INVALID indexes), then `medley migrate resolve {row.filename} --applied` or `--retry`"
        for row in ledger.started
    ]


def _newer(migration: Migration, ledger: Ledger) -> list[str]:
    return [name for name in ledger.names if name > migration.filename]


def _late(name: str, newer: Sequence[str]) -> str:
    shown = ", ".join(sorted(newer)[:3]) + (f" and {len(newer) - 3} more" if len(newer) > 3 else "")
    return (
        f"{name} is older than {shown}, applied already; give it a later timestamp (as `medley migrate new` does), or "
        "apply it all the same with --allow-out-of-order, which is recorded"
    )
