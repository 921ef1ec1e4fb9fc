"""One verification, part by part: CHANGES and the slot, shapes, blobs, a client's copy; then what is to be repaired."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from nats.aio.client import Client
from nats.errors import Error as NatsError

from medley.blobs.opening import open_blobs
from medley.contracts import streams
from medley.runtime import bus, postgres
from medley.runtime.errors import ConfigurationError, Unavailable
from medley.runtime.settings import NatsSettings, S3Settings
from medley.verify import changes, copies
from medley.verify.announced import Announced
from medley.verify.blobs import BEFORE_ALL, BlobBytes
from medley.verify.checkpoint import Checkpoint
from medley.verify.database import Database
from medley.verify.findings import Finding
from medley.verify.pace import Pace
from medley.verify.repair import repair
from medley.verify.shapes import Gone, Shapes, wanted


class Show(Protocol):
    """Whoever watches: a bar for each part, and a line for each thing that differs."""

    def part(self, name: str, total: int | None) -> None: ...

    def step(self, amount: int) -> None: ...

    def differs(self, finding: Finding) -> None: ...


@dataclass(frozen=True, slots=True)
class Servers:
    dsn: str
    nats: NatsSettings
    s3: S3Settings
    slot: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is looked at, and how fast: `rate` in rows, `blob_rate` in bytes a second, 0 as fast as it goes."""

    shapes: bool = True
    changes: bool = True
    blobs: bool = True
    handle: str | None = None
    table: str | None = None
    copy: Path | None = None
    where: str | None = None
    rate: float = 0
    blob_rate: float = 32 * 1024**2
    repair: bool = False
    patience: float = 30


@dataclass
class Report:
    """`counts`: what was looked at; `notes`: what is worth knowing though nothing is wrong."""

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    repaired: list[str] = field(default_factory=list)

    def count(self, name: str, amount: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount


async def verify(servers: Servers, wishes: Wishes, checkpoint: Checkpoint, show: Show) -> Report:
    """Raises Unavailable when a server does not answer, ConfigurationError for wishes that do not fit."""
    with _translated():
        async with Database.opened(servers.dsn) as database:
            client = await bus.connect(servers.nats, "medley-verify")
            try:
                async with Announced.listening(client, wishes.patience) as announced:
                    return await Verification(servers, wishes, checkpoint, show, database, client, announced).run()
            finally:
                await bus.close(client)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except NatsError as error:
        raise Unavailable(f"the bus does not answer ({error!r}); is it the one that sync uses?") from error
    except postgres.FAILURES as error:
        raise Unavailable(f"Postgres does not answer ({error!r})") from error


class Verification:
    """The parts in their order, cheapest first."""

    def __init__(
        self,
        servers: Servers,
        wishes: Wishes,
        checkpoint: Checkpoint,
        show: Show,
        database: Database,
        client: Client,
        announced: Announced,
    ) -> None:
        self._servers = servers
        self._wishes = wishes
        self._checkpoint = checkpoint
        self._show = show
        self._database = database
        self._client = client
        self._announced = announced
        self._rows = Pace(wishes.rate)
        self._report = Report()

    async def run(self) -> Report:
        for finding in self._checkpoint.findings:
            self._differs([finding])
        if self._wishes.changes:
            await self._changes()
        if self._wishes.shapes:
            await self._shapes()
        if self._wishes.blobs:
            await self._blobs()
        if self._wishes.copy is not None:
            await self._copy(self._wishes.copy)
        if self._wishes.repair:
            self._report.repaired = await repair(self._client, self._database, self._report.findings)
        self._checkpoint.finished()
        return self._report

    def _differs(self, findings: list[Finding]) -> None:
        for finding in findings:
            if finding not in self._report.findings:
                self._report.findings.append(finding)
                self._show.differs(finding)

    async def _changes(self) -> None:
        state = (await self._client.jetstream().stream_info(streams.CHANGES.name)).state
        self._show.part("changes", min(state.messages, changes.TAIL))
        found, notes = await changes.verify(
            self._client.jetstream(),
            self._database,
            self._announced,
            self._servers.slot,
            self._rows,
            self._show.step,
        )
        self._report.notes |= notes
        self._report.count("changes", notes["messages"])
        self._differs(found)

    async def _shapes(self) -> None:
        js, wishes = self._client.jetstream(), self._wishes
        registry = await js.key_value(streams.SHAPES_BUCKET.name)
        shapes = Shapes(js, registry, self._database, self._announced, self._rows, self._counted)
        records = wanted(await shapes.records(), wishes.handle, wishes.table)
        if wishes.handle is not None and not records:
            raise ConfigurationError(
                f"there is no shape {wishes.handle}; `medley verify --shapes` looks at all of them"
            )
        after = self._checkpoint.after.get("shapes", "")
        records = [record for record in records if record.handle > after]
        self._show.part("shapes", len(records))
        for record in records:
            try:
                self._differs(await shapes.verify(record))
                self._report.count("shapes")
            except Gone:
                self._report.count("shapes that ended or are being made")
            self._show.step(1)
            self._checkpoint.reached("shapes", record.handle, self._report.findings)

    def _counted(self, rows: int) -> None:
        self._report.count("rows and entries", rows)

    async def _blobs(self) -> None:
        with open_blobs(self._database.pool, self._servers.s3) as blobs:
            looked = BlobBytes(self._database, blobs, Pace(self._wishes.blob_rate), self._show.step)
            after = UUID(self._checkpoint.after.get("blobs", str(BEFORE_ALL)))
            number, size = await looked.amount(after)
            self._show.part(f"{number} blobs", size)
            async for reached, finding in looked.verify(after):
                self._differs([finding] if finding else [])
                self._report.count("blobs")
                self._checkpoint.reached("blobs", str(reached), self._report.findings)
            async for finding in looked.orphans():
                self._differs([finding])

    async def _copy(self, path: Path) -> None:
        wishes = self._wishes
        self._show.part("copy", None)
        if wishes.table is None:
            raise ConfigurationError("a copy is compared with a table: give --table")
        found = await copies.verify(self._database, path, wishes.table, wishes.where, self._rows, self._show.step)
        self._report.count("copies")
        self._differs(found)
