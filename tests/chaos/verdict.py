"""Is every client what SELECT says, was nothing wrong on the way, and did nothing end without a reason?"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from tests.chaos.clients import CheckedCopy, Client, Refetch
from tests.chaos.plan import Fault
from tests.chaos.stream import Sent
from tests.support.library import rows_of

Row = dict[str, str | None]
_SHOWN = 3  # rows of a difference, or faults of one client


@dataclass
class SyncLog:
    """What the logs of every sync say of handles. `whole`: their snapshots were."""

    whole: set[str] = field(default_factory=set)
    renewed: Counter[str] = field(default_factory=Counter)
    """How often, by the digest of the definition."""
    unpublished: set[str] = field(default_factory=set)
    """Their table was taken out of the publication: of a transaction of that moment, Postgres tells half."""
    lines: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, files: Iterable[Path]) -> "SyncLog":
        found = cls()
        for file in files:
            for line in file.read_text(errors="replace").splitlines():
                found.lines.append(f"{file.stem}: {line}")
                if '"shape opened"' in line:
                    found.whole.add(json.loads(line)["handle"])
                elif '"shape dropped"' in line and "taken out of the publication" in line:
                    found.unpublished.add(json.loads(line)["handle"])
                elif '"shape renewed"' in line:
                    generation = json.loads(line)["generation"]
                    found.whole.add(generation)
                    found.renewed[generation.partition("-")[0]] += 1
        return found

    def of(self, handle: str) -> str:
        return " / ".join(line for line in self.lines if handle and handle in line)


async def truth(session: asyncpg.Connection, client: Client) -> list[Row]:
    """What SELECT says of its shape."""
    rows = await rows_of(session, client.shape.table, client.shape.where or "true")
    shown = client.shape.columns
    return [{name: row[name] for name in shown} for row in rows] if shown else rows


def unlike(have: Sequence[Row], wanted: Sequence[Row]) -> str | None:
    """How the rows differ; None when they do not. Pure."""
    ours, theirs = _sorted(have), _sorted(wanted)
    if ours == theirs:
        return None
    missing, extra = [row for row in theirs if row not in ours], [row for row in ours if row not in theirs]
    counts = f"{len(ours)} rows for {len(theirs)}"
    return f"{counts}; missing {len(missing)}: {missing[:_SHOWN]}; extra {len(extra)}: {extra[:_SHOWN]}"


def _sorted(rows: Sequence[Row]) -> list[list[tuple[str, str | None]]]:
    return sorted((sorted(row.items()) for row in rows), key=repr)


def of_client(client: Client, wanted: Sequence[Row], mark: int) -> list[str]:
    """What is wrong with a client, once everything has come to rest."""
    name = f"client of shape {client.number} ({client.shape.table} {client.shape.where or ''}, {client.manner})"
    found = []
    if (failure := client.failure()) is not None:
        found.append(f"{name} follows no more: {failure}")
    elif client.mark < mark or not client.settled:
        found.append(f"{name} is stale: it has mark {client.mark} of {mark}, settled {client.settled}")
    elif (how := unlike(client.rows(), wanted)) is not None:
        found.append(f"{name} is not what SELECT says: {how}")
    if faults := client.all_faults():
        found.append(f"{name} was sent what is wrong ({len(faults)}): {'; '.join(faults[:_SHOWN])}")
    return found


def of_unbalanced(client: Client, log: SyncLog) -> list[str]:
    """Half a transaction was shown, and then the shape ended for another reason than that there was no more of it."""
    name = f"client of shape {client.number} ({client.shape.table} {client.shape.where or ''}, {client.manner})"
    torn = [(handle, fault) for handle, fault in client.unbalanced if handle not in log.unpublished]
    return [f"{name} was sent what is wrong: {fault}: {log.of(handle)}" for handle, fault in torn]


def of_stream(client: Client, handle: str, sent: Sent, wanted: Sequence[Row], mark: int) -> list[str]:
    """The same of the log of its shape in the stream."""
    name = f"the log {handle} of shape {client.number}"
    copy = CheckedCopy(client.shape)
    copy.snapshot(sent.snapshot)
    copy.log(sent.log)
    faults = [*sent.faults, *copy.settled()]
    found = [f"{name} is wrong ({len(faults)}): {'; '.join(faults[:_SHOWN])}"] if faults else []
    if sent.mark < mark or not sent.whole.is_set():
        found.append(f"{name} is stale: it has mark {sent.mark} of {mark}, whole {sent.whole.is_set()}")
    elif (how := unlike(copy.rows, wanted)) is not None:
        found.append(f"{name} is not what SELECT says: {how}")
    return found


def of_refetches(client: Client, begun: Sequence[tuple[float, Fault]], log: SyncLog) -> list[str]:
    """Shapes that ended without a reason, and clients that were sent away too often."""
    ending = [(at, one) for at, one in begun if one.ends(client.shape.tables, named=client.shape.columns is not None)]
    name = f"shape {client.number} ({client.shape.table} {client.shape.where or ''})"
    found = [
        f"{name} ended without a reason: {log.of(one.handle)}"
        for one in client.refetches
        if not _excused(one, ending, log)
    ]
    most = 2 * len(ending) + len(begun) + 2 + sum(log.renewed.values())
    if len(client.refetches) > most:
        found.append(f"{name} was fetched again {len(client.refetches)} times, at most {most} are expected")
    return found


def _excused(refetch: Refetch, ending: Sequence[tuple[float, Fault]], log: SyncLog) -> bool:
    """Something that ends shapes had begun, or its snapshot was never whole, or may have been purged."""
    purged = log.renewed[refetch.handle.partition("-")[0]] > 0
    return purged or refetch.handle not in log.whole or any(at <= refetch.at for at, _ in ending)
