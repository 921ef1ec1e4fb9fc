"""`verify`: is the database what its files make, at every step of the history? Changes nothing."""

from collections.abc import Sequence

from medley.gate import history
from medley.gate.judge import difference
from medley.gate.objects import Catalogue
from services.migrator.commands.report import Report
from services.migrator.commands.status import Look, status
from services.migrator.migrations import Migration
from services.migrator.scratch.rehearsal import Step


def verify(found: Look, steps: Sequence[Step], database: str) -> Report:
    """`steps`: the applied files, rehearsed. Exit code as of `status`; 5 when files and database differ anywhere."""
    known = status(found, database)
    if found.plan.refusals:
        return known
    problems = [*_chain(found), *_prefixes(found, steps)]
    last = steps[-1].catalogue if steps else Catalogue(())
    differing = [] if not found.ledger.applied else difference(last, found.live)
    if differing:
        problems.append("the database is not what its files make (+ only in the database, - only in the files):")
        problems += differing
    value = {**known.value, "problems": problems, "differences": differing, "scratch": last.fingerprint}
    if not problems:
        sentence = f"verified: {len(steps)} migrations make {last.fingerprint}, here and on a scratch database"
        return Report(sentence + (f"\n{known.text}" if known.code else ""), value, known.code)
    return Report("\n".join(problems), {**value, "verdict": "drift"}, 5)


def _chain(found: Look) -> list[str]:
    """Rows that somebody edited: the history hash of each follows from those before it."""
    value = ""
    for row in found.ledger.applied:
        value = history.extend(value, row.filename, row.checksum or "")
        if row.history not in (None, value):
            return [f"the ledger was edited: the history of {row.filename} does not follow from the rows before it"]
    return []


def _prefixes(found: Look, steps: Sequence[Step]) -> list[str]:
    made = {step.migration.filename: step.catalogue.fingerprint for step in steps}
    return [
        f"{row.filename} made {row.fingerprint} here and makes {made[row.filename]} on a scratch database"
        for row in found.ledger.applied
        if row.fingerprint is not None and made.get(row.filename) != row.fingerprint and row.remark != "edited"
    ]


def applied_files(found: Look, files: Sequence[Migration]) -> list[Migration]:
    """The files of the history, in the order in which they ran."""
    by_name = {file.filename: file for file in files}
    return [by_name[name] for name in found.ledger.names if name in by_name]
