"""A finding: what a migration does that is allowed and unwise, why, and what to write instead. Pure.

A file may accept a finding, by its rule and with a reason; it is then kept apart, and stays visible.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.migrator.sql.directives import Script


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    file: str
    line: int
    column: int
    rule: str
    why: str
    instead: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.why}; {self.instead}"


@dataclass(frozen=True, slots=True)
class Judged:
    """Findings in order; those that their file accepts, with its reason."""

    open: list[Finding]
    accepted: list[tuple[Finding, str]]


def judge(findings: Iterable[Finding], scripts: Sequence[Script]) -> Judged:
    """Set apart what the files themselves accept."""
    reasons = {(script.filename, accept.kind): accept.reason for script in scripts for accept in script.lint_accepts}
    judged = Judged([], [])
    for finding in sorted(set(findings)):
        reason = reasons.get((finding.file, finding.rule))
        if reason is None:
            judged.open.append(finding)
        else:
            judged.accepted.append((finding, reason))
    return judged


def late_merged(base_names: set[str], files: Iterable[str]) -> list[Finding]:
    """Files that the other revision has not, and that sort before its newest: who has that one refuses them."""
    newest = max(base_names, default="")
    return [
        Finding(
            name,
            1,
            1,
            "late-merged",
            f"it sorts before {newest}, which is merged: a database that has applied that one refuses this one",
            "rename it with a later timestamp",
        )
        for name in sorted(files)
        if name not in base_names and name < newest
    ]
