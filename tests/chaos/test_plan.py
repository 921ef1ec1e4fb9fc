"""What is drawn from a seed: the same again, with every kind of fault somewhere; and what is counted and compared."""

import random
from collections.abc import Iterator
from typing import get_args

import pytest

from tests.chaos.outcomes import Outcome, quantile, summary, table
from tests.chaos.plan import Fault, Kind, Plan, plan
from tests.chaos.shapes import SHAPES, mark_of
from tests.chaos.verdict import unlike
from tests.chaos.writing import transaction


def _kinds() -> Iterator[str]:
    for literal in get_args(Kind):
        yield from get_args(literal)


PLANS = [plan(seed, 4) for seed in range(400)]


def test_a_seed_gives_the_same_plan_again() -> None:
    assert plan(7, 4) == plan(7, 4)
    assert plan(7, 4) != plan(8, 4)
    assert Plan.model_validate_json(plan(7, 4).model_dump_json()) == plan(7, 4)


def test_a_seed_gives_the_same_transactions_again() -> None:
    def drawn() -> list[object]:
        chance = random.Random("1-0")  # noqa: S311
        return [transaction(chance) for _ in range(50)]

    assert drawn() == drawn()


@pytest.mark.parametrize("kind", list(_kinds()))
def test_every_kind_of_fault_is_drawn(kind: str) -> None:
    assert any(fault.kind == kind for one in PLANS for fault in one.faults)


def test_faults_hit_what_is_there() -> None:
    for one in PLANS:
        known = {*one.servers, *one.links, "accounts", "items", "links", "CHANGES", "SHAPES", "KV_shapes", "KV_sync"}
        for fault in one.faults:
            assert set(fault.targets) <= known
            assert 0 < fault.at <= 4
        assert all(client.api < one.apis for client in one.clients)


def test_what_may_end_a_shape() -> None:
    items = frozenset({"items"})
    assert not Fault(kind="kill", at=1, targets=("nats", "sync0")).ends(items, named=False)
    assert Fault(kind="slot dropped", at=1).ends(items, named=True)
    assert Fault(kind="truncated", at=1, targets=("items",)).ends(items, named=True)
    assert not Fault(kind="truncated", at=1, targets=("links",)).ends(items, named=True)
    added = Fault(kind="column added", at=1, targets=("items",))
    assert added.ends(items, named=False)
    assert not added.ends(items, named=True)


def test_a_shape_reads_its_table_and_those_of_its_subqueries() -> None:
    assert {one.tables for one in SHAPES if one.beside} == {frozenset({"items", "links"})}
    assert all(one.tables == {one.table.split(".")[1]} for one in SHAPES if not one.beside)


def test_markers_are_told_from_rows() -> None:
    assert mark_of({"headers": {}, "value": {"id": "1", "mark": "12"}}) == 12
    assert mark_of({"headers": {}, "value": {"id": "1", "title": "mark 7"}}) == 7
    assert mark_of({"headers": {}, "value": {"id": "1", "title": "list 7", "mark": None}}) == 0


def test_rows_that_differ_are_named() -> None:
    assert unlike([{"id": "1"}, {"id": "2"}], [{"id": "2"}, {"id": "1"}]) is None
    assert "missing 1" in (unlike([{"id": "1"}], [{"id": "1"}, {"id": "2"}]) or "")
    assert unlike([{"id": "1"}, {"id": "1"}], [{"id": "1"}]) is not None, "one row twice is one too many"


def test_quantiles() -> None:
    assert quantile([], 0.5) == 0
    assert [quantile([1, 2, 3, 4], part) for part in (0.5, 0.75, 0.95, 1)] == [2, 3, 4, 4]


def test_a_summary_counts_what_differs() -> None:
    good = Outcome(seed=1, faults=("kill", "kill"), recoveries=(1.0, 3.0), retained=10)
    bad = Outcome(seed=2, faults=("cut",), recoveries=(2.0,), retained=5, differences=("lost",))
    found = summary([good, bad])
    assert (found.failed, found.differences, found.faults, found.retained) == ((2,), 1, {"kill": 2, "cut": 1}, 10)
    assert (found.recovery_p50, found.recovery_max) == (2.0, 3.0)
    assert "in seeds [2]" in table(found, 10)
