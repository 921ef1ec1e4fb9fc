"""What sync says of itself in numbers (`GET /metrics` beside its health): shapes by tier, and what Postgres is asked.

The tiers are those that `medley tail --explain` tells. Numbers are those of the term: another one starts at 0.
"""

from collections import Counter
from collections.abc import Iterable

from medley.runtime.metrics import Metric
from services.sync.arrivals import Arrivals
from services.sync.capture import Capture
from services.sync.live import LiveShape
from services.sync.predicates.evaluation import Evaluation
from services.sync.related.reading import Reading
from services.sync.slot import SlotState


def of_term(shapes: Iterable[LiveShape], evaluation: Evaluation, reading: Reading, lsn: int) -> list[Metric]:
    """Those of a worker's share."""
    tiers = Counter((shape.tier, "true" if shape.candidates is not None else "false") for shape in shapes)
    by_tier = [({"tier": tier, "indexed": indexed}, float(count)) for (tier, indexed), count in sorted(tiers.items())]
    return [
        Metric(
            "medley_sync_shapes",
            "gauge",
            "Open shapes by who decides about a change; indexed: Postgres is asked about rows that a look-up finds.",
            by_tier,
        ),
        Metric(
            "medley_sync_clause_questions_total",
            "counter",
            "Questions to Postgres about clauses: one for each table and round, more when a clause fails.",
            [({"subqueries": "false"}, evaluation.questions), ({"subqueries": "true"}, reading.questions)],
        ),
        Metric(
            "medley_sync_clause_rows_total",
            "counter",
            "Distinct rows that those without subqueries were about.",
            [({}, evaluation.rows)],
        ),
        Metric("medley_sync_position", "gauge", "LSN up to which shapes have every entry.", [({}, lsn)]),
    ]


def of_capture(capture: Capture, slot: SlotState | None, now: float) -> list[Metric]:
    """`now`: of the monotonic clock."""
    found = [
        Metric(
            "medley_sync_unacked_seconds",
            "gauge",
            "Age of the oldest change that JetStream has not acked.",
            [({}, capture.unacked_seconds(now))],
        ),
        Metric(
            "medley_sync_unacked_bytes",
            "gauge",
            "Bytes of changes that JetStream has not acked.",
            [({}, capture.unacked_bytes)],
        ),
    ]
    if slot is not None:
        lag, kept = max(0, slot.written - capture.marked), max(0, slot.written - slot.kept_from)
        found += [
            Metric("medley_sync_capture_lag_bytes", "gauge", "WAL that CHANGES does not hold yet.", [({}, lag)]),
            Metric("medley_sync_wal_retained_bytes", "gauge", "WAL that Postgres keeps for the slot.", [({}, kept)]),
        ]
    return found


def of_arrivals(arrivals: Arrivals, now: float) -> list[Metric]:
    """`now`: of the wall clock."""
    return [
        Metric(
            "medley_sync_fanout_lag_seconds",
            "gauge",
            "Age of the oldest change of CHANGES that has arrived and is not fanned out.",
            [({}, arrivals.lag(now))],
        ),
        Metric(
            "medley_sync_fanout_waiting_bytes",
            "gauge",
            "Bytes of changes that have arrived and are not fanned out.",
            [({}, arrivals.waiting_bytes)],
        ),
    ]


def of_role(capturing: bool) -> Metric:
    """Who captures, and who stands by."""
    return Metric("medley_sync_active", "gauge", "Whether this sync holds the slot.", [({}, float(capturing))])
