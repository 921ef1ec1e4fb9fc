"""The ledger as everybody reads it: which migrations this database has, what they were, and for whom they are fine."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from medley.gate import catalogue
from medley.gate.catalogue import Catalogue
from medley.gate.findings import OK, ROLES, Class, Finding, Role, worst
from medley.runtime import statements

SQL = statements.load(__file__)


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


def compat_from(text: str) -> Compat:
    value = json.loads(text)
    return Compat(
        tuple(Finding(**finding) for finding in value["findings"]),
        tuple((each["class"], each["reason"]) for each in value["accepted"]),
    )


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


async def read(connection: asyncpg.Connection, recorded: bool = True) -> Ledger:
    """The ledger in the session's schema; with the recorded catalogue unless told otherwise."""
    shape = await connection.fetchrow(SQL["shape"])
    assert shape is not None
    if not shape["exists"]:
        return Ledger()
    if not shape["complete"]:
        return Ledger(True, tuple(Applied(*row) for row in await connection.fetch(SQL["early_rows"])))
    rows = await connection.fetch(SQL["rows"])
    started = await connection.fetch(SQL["started"]) if shape["started"] else []
    text = await connection.fetchval(SQL["catalogue"]) if recorded else None
    return Ledger(
        True,
        tuple(Applied(*row)._replace(compat=compat_from(row["compat"]) if row["compat"] else None) for row in rows),
        tuple(Started(*row) for row in started),
        catalogue.from_json(text) if text else None,
    )


async def texts(connection: asyncpg.Connection, filenames: list[str]) -> dict[str, str]:
    """The texts that ran, of those of these files that the ledger holds."""
    shape = await connection.fetchrow(SQL["shape"])
    if not filenames or shape is None or not shape["complete"]:
        return {}
    return {row["filename"]: row["sql"] for row in await connection.fetch(SQL["texts"], filenames)}
