"""Which shapes a message's changes may concern: found by their values here, or by what Postgres said of them. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from services.sync.live import Incoming, LiveShape
from services.sync.predicates.tier import PostgresTier
from services.sync.router import Router

Change = dict[str, Any]


def concerned(
    router: Router[LiveShape], postgres: PostgresTier, incoming: Incoming
) -> list[tuple[LiveShape, Sequence[Change]]]:
    """The shapes, and which changes each; a shape decides itself what they mean."""
    relation, changes = incoming.oid, incoming.changes
    found: dict[LiveShape, list[Change]] = {}
    if router.routes(relation) or postgres.decides(relation):
        for change in changes:
            for shape in _found(router, postgres, relation, change):
                found.setdefault(shape, []).append(change)
    return [*((shape, changes) for shape in router.whole(relation)), *found.items()]


def _found(router: Router[LiveShape], postgres: PostgresTier, relation: int, change: Change) -> Iterable[LiveShape]:
    """Those that are found by a change's values; all, where nothing is known of these."""
    operation, old = change["op"], change.get("old")
    if operation in ("truncate", "oversize") or (operation != "insert" and old is None):
        return [*router.routed(relation), *postgres.all_of(relation)]
    rows = [row for row in (old, change.get("new")) if row is not None]
    return [*router.found(relation, *rows), *postgres.concerned(relation, *rows)]
