"""What came of a seed, and of many: as data, and as the table that is printed. Pure."""

from collections import Counter
from collections.abc import Sequence

from tests.chaos.plan import Data


class Outcome(Data):
    """`faults`: their kinds. `recoveries`: seconds from the end of a fault until every steady client had a row that was
    written after it. `retained`: the most WAL, in bytes, that the slot held back. `ended`: processes that ended by
    themselves. `folder`: where logs were kept."""

    seed: int
    seconds: float = 0.0
    transactions: int = 0
    changes: int = 0
    clients: int = 0
    faults: tuple[str, ...] = ()
    recoveries: tuple[float, ...] = ()
    retained: int = 0
    refetches: int = 0
    entries: int = 0
    ended: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    folder: str = ""


class Summary(Data):
    seeds: int
    transactions: int
    changes: int
    clients: int
    entries: int
    refetches: int
    faults: dict[str, int]
    recovery_p50: float
    recovery_p95: float
    recovery_max: float
    retained: int
    seconds: float
    ended: tuple[str, ...]
    failed: tuple[int, ...]
    differences: int


def summary(outcomes: Sequence[Outcome]) -> Summary:
    recoveries = sorted(seconds for one in outcomes for seconds in one.recoveries)
    return Summary(
        seeds=len(outcomes),
        transactions=sum(one.transactions for one in outcomes),
        changes=sum(one.changes for one in outcomes),
        clients=sum(one.clients for one in outcomes),
        entries=sum(one.entries for one in outcomes),
        refetches=sum(one.refetches for one in outcomes),
        faults=dict(Counter(kind for one in outcomes for kind in one.faults).most_common()),
        recovery_p50=quantile(recoveries, 0.5),
        recovery_p95=quantile(recoveries, 0.95),
        recovery_max=quantile(recoveries, 1),
        retained=max((one.retained for one in outcomes), default=0),
        seconds=round(sum(one.seconds for one in outcomes), 1),
        ended=tuple(f"seed {one.seed}: {what}" for one in outcomes for what in one.ended),
        failed=tuple(one.seed for one in outcomes if one.differences),
        differences=sum(len(one.differences) for one in outcomes),
    )


def quantile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that is not exceeded by this part of them; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, min(len(ordered) - 1, -(-int(part * 1000) * len(ordered) // 1000) - 1))]


def table(found: Summary, wall: float) -> str:
    """For people."""
    rows = [
        ("seeds", f"{found.seeds} in {wall:.0f} s, {wall / max(1, found.seeds):.1f} s each"),
        ("transactions", f"{found.transactions} with {found.changes} changes"),
        ("clients", f"{found.clients}, which took in {found.entries} entries and {found.refetches} must-refetch"),
        ("faults", str(sum(found.faults.values()))),
        *((f"  {kind}", str(count)) for kind, count in found.faults.items()),
        ("recovery", f"p50 {found.recovery_p50:.2f} s, p95 {found.recovery_p95:.2f} s, max {found.recovery_max:.2f} s"),
        ("retained WAL", f"{found.retained / 2**20:.1f} MiB at most"),
        ("ended by itself", "; ".join(found.ended) or "nothing"),
        ("differences", f"{found.differences}, in seeds {list(found.failed)}" if found.failed else "0"),
    ]
    return "\n".join(f"{name:18} {text}" for name, text in rows)
