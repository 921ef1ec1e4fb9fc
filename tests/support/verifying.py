"""`medley verify` from within: against a library's servers, with the differences that it tells."""

from dataclasses import dataclass, field
from typing import Any

from medley.runtime.settings import S3Settings
from medley.verify.checkpoint import Checkpoint
from medley.verify.findings import Finding
from medley.verify.verification import Report, Servers, Wishes, verify
from tests.support.migrated import nats_settings

NOTHING = {"shapes": False, "changes": False, "blobs": False}


@dataclass
class Watched:
    """What whoever watches is told."""

    told: list[Finding] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    amount: int = 0

    def part(self, name: str, total: int | None) -> None:
        self.parts.append(name)

    def step(self, amount: int) -> None:
        self.amount += amount

    def differs(self, finding: Finding) -> None:
        self.told.append(finding)


@dataclass
class Verifier:
    """`await verifier(shapes=True)` looks at these parts only."""

    dsn: str
    nats_url: str
    slot: str = "medley"
    s3: S3Settings = field(default_factory=lambda: S3Settings(endpoint=""))
    checkpoint: Checkpoint = field(default_factory=lambda: Checkpoint(None))

    async def __call__(self, **wishes: Any) -> Report:
        watched = Watched()
        servers = Servers(self.dsn, nats_settings(self.nats_url), self.s3, self.slot)
        report = await verify(servers, Wishes(**NOTHING | wishes), self.checkpoint, watched)
        assert watched.told == report.findings
        return report


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}
