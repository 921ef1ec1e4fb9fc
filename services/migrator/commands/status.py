"""`status` and `plan`: what a database has, what is pending, what is wrong; changes nothing."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from medley.gate import catalogue
from medley.gate import ledger as reading
from medley.gate.findings import ROLES
from medley.gate.judge import difference
from medley.gate.objects import Catalogue
from medley.gate.records import Applied, Ledger
from services.migrator import ledger as writing
from services.migrator.apply import invalid_index
from services.migrator.commands.report import BEHIND, DRIFT, INCOMPATIBLE, OK, Report
from services.migrator.migrations import Migration
from services.migrator.plan import Plan, ahead_of, breaking, plan
from services.migrator.sql.directives import read_script


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that one look at a database finds."""

    ledger: Ledger
    live: Catalogue
    plan: Plan
    edited: dict[str, str] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)

    @property
    def drift(self) -> list[str]:
        """What differs from what the history makes, one line an object."""
        if not self.ledger.applied or self.ledger.fingerprint in (None, self.live.fingerprint):
            return []
        if self.ledger.recorded is None:
            return [f"~ fingerprint: {self.ledger.fingerprint} -> {self.live.fingerprint}"]
        return difference(self.ledger.recorded, self.live)

    @property
    def breaking(self) -> list[str]:
        """What this build has never seen, and is not known to be fine for it."""
        return breaking(self.ledger, self.plan.ahead)

    @property
    def verdict(self) -> tuple[str, int]:
        if self.plan.refusals or self.breaking:
            return "incompatible", INCOMPATIBLE
        if self.drift:
            return "drift", DRIFT
        return ("behind", BEHIND) if self.plan.pending else ("up to date", OK)


async def look(connection: asyncpg.Connection, files: Sequence[Migration]) -> Look:
    """All of it, of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        ledger, live = await reading.read(connection), await catalogue.read(connection)
        planned = plan(files, ledger)
        edited = await _edited(connection, files, ledger)
        invalid = [invalid_index(*row) for row in await writing.invalid_indexes(connection)]
    return Look(ledger, live, planned, edited, invalid)


async def glance(connection: asyncpg.Connection, files: Sequence[Migration]) -> Look:
    """The history alone, which is all that a plan is made of."""
    ledger = await reading.read(connection, recorded=False)
    return Look(ledger, Catalogue(()), plan(files, ledger))


async def _edited(connection: asyncpg.Connection, files: Sequence[Migration], ledger: Ledger) -> dict[str, str]:
    """Of each file that is not what ran: what changed, as a unified diff; empty when the text that ran is unknown."""
    ran = {row.filename: row.checksum for row in ledger.applied}
    changed = [file for file in files if ran.get(file.filename) not in (None, file.checksum)]
    texts = await reading.texts(connection, [file.filename for file in changed])
    return {
        file.filename: "\n".join(
            difflib.unified_diff(
                texts.get(file.filename, "").splitlines(),
                file.text.splitlines(),
                f"{file.filename} as it ran",
                f"{file.filename} now",
                lineterm="",
            )
        )
        for file in changed
    }


def status(found: Look, database: str) -> Report:
    """The whole of it; exit code 0, 3, 4 or 5."""
    verdict, code = found.verdict
    value = {
        "database": database,
        "verdict": verdict,
        "fingerprint": found.live.fingerprint,
        "recorded": found.ledger.fingerprint,
        "history": found.ledger.history,
        "applied": [_row(row) for row in found.ledger.applied],
        "pending": [migration.filename for migration in found.plan.pending],
        "ahead": list(found.plan.ahead),
        "started": [row.filename for row in found.ledger.started],
        "refusals": list(found.plan.refusals),
        "edited": found.edited,
        "drift": found.drift,
        "invalid_indexes": found.invalid,
    }
    return Report("\n".join(_lines(found, verdict)), value, code)


def _row(row: Applied) -> dict[str, object]:
    return {
        **row._asdict(),
        "applied_at": row.applied_at.isoformat(),
        "compat": row.compat.as_dict() if row.compat else None,
    }


def _lines(found: Look, verdict: str) -> list[str]:
    lines = [_applied_line(row, row.filename in found.plan.ahead) for row in found.ledger.applied]
    lines += [f"{'pending':<23}  {migration.filename}" for migration in found.plan.pending]
    lines += [""] if lines else ["nothing is applied"]
    for name, diff in found.edited.items():
        lines += [f"{name} is not what ran:", *(diff or "(the text that ran was not kept)").splitlines(), ""]
    if found.drift:
        lines += ["drift, made by no migration (+ added, - missing, ~ changed):", *found.drift, ""]
    lines += [*found.plan.refusals, *found.invalid]
    if found.plan.ahead:
        lines.append(ahead_of(found.ledger, found.plan.ahead))
    lines.append(f"{verdict}: {found.live.fingerprint}")
    return lines


def _applied_line(row: Applied, ahead: bool) -> str:
    breaks = [role for role in ROLES if row.compat is not None and row.compat.of(role) == "breaking"]
    notes = [*([f"breaks {', '.join(breaks)}"] if breaks else []), *([row.remark] if row.remark else [])]
    notes += ["not in this build"] if ahead else []
    return f"{row.applied_at:%Y-%m-%d %H:%M:%S} UTC  {row.filename}{'  (' + '; '.join(notes) + ')' if notes else ''}"


def plan_report(found: Look) -> Report:
    """What `apply` would do, in order; exit code 0 when it would, 4 when it would refuse."""
    steps = []
    for migration in found.plan.pending:
        script = read_script(migration.filename, migration.text)
        steps.append(
            {
                "filename": migration.filename,
                "checksum": migration.checksum,
                "statements": len(script.statements),
                "replicated": sum(statement.replicated for statement in script.statements),
                "transaction": not script.no_transaction,
                "accepts": [accept.kind for accept in script.accepts],
                "faults": [str(fault) for fault in script.faults],
            }
        )
    refusals = [*found.plan.refusals, *(fault for step in steps for fault in step["faults"])]  # type: ignore[attr-defined]
    value = {"pending": steps, "ahead": list(found.plan.ahead), "refusals": refusals}
    lines = [_step(step) for step in steps] or ["nothing to apply"]
    lines += [*refusals, *([ahead_of(found.ledger, found.plan.ahead)] if found.plan.ahead else [])]
    return Report("\n".join(lines), value, INCOMPATIBLE if refusals or found.breaking else OK)


def _step(step: dict[str, object]) -> str:
    count = step["statements"]
    how = "in one transaction" if step["transaction"] else "outside a transaction"
    return f"apply {step['filename']}: {count} statement{'' if count == 1 else 's'} {how}"
