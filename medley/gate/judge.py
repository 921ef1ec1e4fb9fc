"""The gate's answer. Pure: what a build ships and needs, what the database has, an answer and a sentence.

In this order, the first that is true:

1. **behind** (wait): a migration that this build ships is not applied, or is not known to have ended;
2. **incompatible** (stop): a shipped migration ran with another text; the live schema lacks what the contract names;
   a migration that this build has never seen, or a hand, broke this role for a table of the contract;
3. **drift**: the schema is not the one that its history makes, and what is needed fits all the same;
4. **equal**: the very history that this build ships; **compatible**: more than that, and fine for it.

A build judges by its contract. Without one (`role` alone), every finding of a migration that it never saw counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from medley.gate import history
from medley.gate.compatibility import compare
from medley.gate.findings import Finding, Role
from medley.gate.fit import misfits
from medley.gate.needs import Needs, Write
from medley.gate.objects import Catalogue
from medley.gate.records import Applied, Ledger
from medley.gate.rules.checks import asks_for_null
from medley.gate.shipped import Shipped

Verdict = Literal["equal", "compatible", "behind", "incompatible", "drift", "unreachable"]
EXIT_CODES: dict[Verdict, int] = {
    "equal": 0,
    "compatible": 0,
    "behind": 3,
    "incompatible": 4,
    "drift": 5,
    "unreachable": 6,
}
# What the live schema itself answers, column by column, when there is a contract: no need to infer it from history,
# and what a later migration mended is mended.
_SEEN_LIVE = {
    "drop-table", "rename-table", "rename-column", "drop-column", "change-type", "narrow-type", "add-required-column",
    "set-not-null", "drop-default", "drop-not-null", "become-generated", "become-identity", "drop-unique",
    "defer-unique",
}  # fmt: skip
# A view has columns and types, and nothing else of what is seen of a table.
_SEEN_OF_VIEWS = {"drop-table", "rename-table", "rename-column", "drop-column", "change-type", "drop-not-null"}
# What a contract says may happen, and who wrote the migration says does not.
_ACCEPTABLE = {"set-not-null", "drop-not-null", "narrow-type"}


class Answer(NamedTuple):
    verdict: Verdict
    sentence: str

    @property
    def is_open(self) -> bool:
        """May a service serve? Drift that leaves what it needs alone is told, and does not stop it."""
        return self.verdict in ("equal", "compatible", "drift")


@dataclass(frozen=True, slots=True)
class Build:
    """Who asks: its migrations in order, and what it needs: a contract, or everything that its role could."""

    shipped: tuple[Shipped, ...]
    needs: Needs | None = None
    roles: tuple[Role, ...] = ("reader", "writer")


def judge(build: Build, ledger: Ledger, live: Catalogue, failure: str | None = None) -> Answer:
    """Is this database fit for this build? `failure`: what the last run of a migrator said, if it failed."""
    if (sentence := _behind(build, ledger)) is not None:
        because = f"; the last run of the migrator failed: {failure}" if failure else ""
        return Answer("behind", sentence + because)
    wrong = list(dict.fromkeys(_incompatible(build, ledger, live)))
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        return Answer("incompatible", "; ".join(wrong[:3]) + more)
    if ledger.fingerprint is not None and ledger.fingerprint != live.fingerprint:
        return Answer("drift", _drift(ledger, live))
    head = ledger.names[-1] if ledger.names else "empty"
    if ledger.history == history.chain(build.shipped):
        return Answer("equal", f"schema {head} is the one that this build was made for")
    return Answer("compatible", f"schema {head} fits; this build was made for {_last(build)}")


def _last(build: Build) -> str:
    return build.shipped[-1].filename if build.shipped else "an empty schema"


def _behind(build: Build, ledger: Ledger) -> str | None:
    if not ledger.exists and build.shipped:
        return f"found a database that no migrator has seen, needed {_last(build)}; run `medley migrate apply`"
    done = set(ledger.names)
    missing = [each.filename for each in build.shipped if each.filename not in done]
    for row in ledger.started:
        if row.filename in missing:
            return (
                f"found {row.filename} started at {row.started_at:%Y-%m-%d %H:%M:%S} UTC and not known to have ended, "
                f"needed its end; wait for it, or `medley migrate resolve {row.filename} --applied` (or `--retry`)"
            )
    if missing:
        head = ledger.names[-1] if ledger.names else "empty"
        return f"found schema {head}, needed {missing[-1]} ({len(missing)} not applied); run `medley migrate apply`"
    return None


def _incompatible(build: Build, ledger: Ledger, live: Catalogue) -> Iterator[str]:
    checksums = {row.filename: row.checksum for row in ledger.applied}
    for filename, checksum in build.shipped:
        applied = checksums.get(filename)
        if applied is not None and applied != checksum:
            yield (
                f"found {filename} applied with another text ({applied[:12]}), needed {checksum[:12]}; this build and "
                "this database have different histories: deploy the build that goes with the database"
            )
    known = {each.filename for each in build.shipped}
    unseen = [row for row in ledger.applied if row.filename not in known]
    if build.needs is not None:
        yield from _misfits(build, build.needs, unseen, live)
    for row in unseen:
        yield from _unseen(build, row, live)
    if ledger.recorded is not None and ledger.fingerprint != live.fingerprint:
        for finding in compare(ledger.recorded, live):
            if any(_breaks(build, role, finding, live) for role in build.roles):
                yield f"changed by hand, not by a migration: {finding.sentence}; take it back, or make it a migration"


def _misfits(build: Build, needs: Needs, unseen: Sequence[Applied], live: Catalogue) -> Iterator[str]:
    accepted = {
        (role, finding.rule, finding.table, finding.column)
        for role in build.roles
        for row in unseen
        if row.compat is not None and row.compat.of(role) == "compatible"
        for finding in row.compat.findings
        if finding.rule in _ACCEPTABLE
    }
    for misfit in misfits(needs, live):
        roles = ("reader", "replica") if misfit.role == "reader" else ("writer",)
        asked = [role for role in build.roles if role in roles]
        if any((role, misfit.rule, misfit.table, misfit.column) not in accepted for role in asked):
            yield misfit.sentence


def _unseen(build: Build, row: Applied, live: Catalogue) -> Iterator[str]:
    remedy = "deploy a build that has this migration"
    if row.compat is None:
        yield f"found {row.filename}, which this build has never seen and nobody has classified; {remedy}"
        return
    roles = [role for role in build.roles if row.compat.of(role) == "breaking"]
    for finding in row.compat.findings:
        if any(_breaks(build, role, finding, live) for role in roles):
            yield f"found {row.filename}, which this build has never seen: {finding.sentence}; {remedy}"


def _breaks(build: Build, role: Role, finding: Finding, live: Catalogue) -> bool:
    """Does a finding break this role on something that the build uses?"""
    if finding.for_role(role) != "breaking":
        return False
    needs = build.needs
    if needs is None:
        return True
    if role != "replica":
        table = live.tables.get(finding.table)
        if finding.rule in (_SEEN_OF_VIEWS if table is not None and table.is_view else _SEEN_LIVE):
            return False
    write = needs.writes.get(finding.table)
    if role == "writer":
        return write is not None and _is_written(write, finding)
    columns = needs.reads.get(finding.table)
    return columns is not None and (not finding.column or finding.column in columns)


def _is_written(write: Write, finding: Finding) -> bool:
    """An insert that leaves a column out writes NULL there, which a CHECK refuses if it asks for it."""
    left_out = any(finding.column not in inserted for inserted in write.inserts)
    if finding.rule in ("add-check", "change-check") and left_out and asks_for_null(finding.sentence):
        return True
    return not finding.column or finding.column in write.columns


def _drift(ledger: Ledger, live: Catalogue) -> str:
    changes = difference(ledger.recorded, live) if ledger.recorded else ()
    shown = "; ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    return (
        f"the schema is not the one that its history makes: {shown or 'its fingerprint differs'}; needed "
        f"{ledger.fingerprint}, found {live.fingerprint}; put the change into a migration, or take it back "
        "(`medley migrate status` shows all of it)"
    )


def difference(meant: Catalogue, live: Catalogue) -> list[str]:
    """What a hand changed, one line an object: `+ added`, `- missing`, `~ changed: meant -> found`."""
    lines = []
    for key in sorted(meant.by_key.keys() | live.by_key.keys()):
        was, now = meant.by_key.get(key), live.by_key.get(key)
        if was is None and now is not None:
            lines.append(f"+ {now.title} {_line(now.definition)}".rstrip())
        elif now is None and was is not None:
            lines.append(f"- {was.title} {_line(was.definition)}".rstrip())
        elif was is not None and now is not None and was.line != now.line:
            lines.append(f"~ {was.title}: {_line(was.definition)} -> {_line(now.definition)}")
    return lines


def _line(definition: str) -> str:
    """Views are printed on several lines."""
    return " ".join(part.strip() for part in definition.splitlines()).strip()
