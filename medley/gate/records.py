"""What the ledger holds, as values: the migrations of a database, what they were, for whom they are fine. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from medley.gate.findings import OK, ROLES, Class, Finding, Role, worst
from medley.gate.objects import Catalogue


@dataclass(frozen=True, slots=True)
class Compat:
    """For whom one migration was fine, as it was found when it ran; what its author accepted counts as fine."""

    findings: tuple[Finding, ...] = ()
    accepted: tuple[tuple[str, str], ...] = ()  # (class such as `writer-breaking`, reason)

    def of(self, role: Role) -> Class:
        accepted = any(kind == f"{role}-breaking" for kind, _ in self.accepted)
        return OK if accepted else worst(self.findings, role)

    def as_json(self) -> str:
        return json.dumps(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        return {
            **{role: self.of(role) for role in ROLES},
            "findings": [finding._asdict() for finding in self.findings],
            "accepted": [{"class": kind, "reason": reason} for kind, reason in self.accepted],
        }


def compat_from(text: str) -> Compat | None:
    """As it was recorded; a newer migrator may say more. None, unclassified, for what nobody here can read."""
    try:
        value = json.loads(text)
        findings = (Finding(**{key: finding[key] for key in Finding._fields}) for finding in value["findings"])
        return Compat(tuple(findings), tuple((each["class"], each["reason"]) for each in value["accepted"]))
    except (ValueError, KeyError, TypeError):
        return None


class Applied(NamedTuple):
    """A row. Everything but the first two is unknown of migrations that an earlier migrator applied."""

    filename: str
    applied_at: datetime
    checksum: str | None = None
    history: str | None = None
    fingerprint: str | None = None
    compat: Compat | None = None
    remark: str | None = None


class Started(NamedTuple):
    filename: str
    checksum: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Ledger:
    """All of it. `exists` is false on a database that no migrator has seen."""

    exists: bool = False
    applied: tuple[Applied, ...] = ()
    started: tuple[Started, ...] = ()
    recorded: Catalogue | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(row.filename for row in self.applied)

    @property
    def history(self) -> str | None:
        return self.applied[-1].history if self.applied else ""

    @property
    def fingerprint(self) -> str | None:
        """What the schema is meant to be."""
        if self.recorded is not None:
            return self.recorded.fingerprint
        return self.applied[-1].fingerprint if self.applied else None
