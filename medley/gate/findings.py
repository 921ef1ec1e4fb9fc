"""A finding: one thing of a schema change that is not fine for everybody."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Role = Literal["reader", "writer", "replica"]
Class = Literal["compatible", "lossy", "breaking"]
ROLES: tuple[Role, ...] = ("reader", "writer", "replica")
SEVERITY: tuple[Class, ...] = ("compatible", "lossy", "breaking")
OK, LOSSY, BREAKS = SEVERITY


class Finding(NamedTuple):
    """One thing that is not fine for everybody. `column` is empty where the whole table is meant."""

    rule: str
    table: str
    column: str
    reader: Class
    writer: Class
    replica: Class
    sentence: str

    def for_role(self, role: Role) -> Class:
        return {"reader": self.reader, "writer": self.writer, "replica": self.replica}[role]


def worst(findings: Iterable[Finding], role: Role) -> Class:
    return max((finding.for_role(role) for finding in findings), key=SEVERITY.index, default=OK)
