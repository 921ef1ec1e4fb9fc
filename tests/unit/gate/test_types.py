"""Which types hold what others held."""

import pytest

from medley.gate.types import widens

CASES = {
    ("smallint", "integer"): "exact",
    ("integer", "bigint"): "exact",
    ("bigint", "integer"): "narrower",
    ("real", "double precision"): "exact",
    ("double precision", "real"): "coarser",
    ("integer", "double precision"): "other",
    ("integer", "text"): "other",
    ("text", "integer"): "other",
    ("character varying(4)", "character varying(9)"): "exact",
    ("character varying(4)", "character varying"): "exact",
    ("character varying(4)", "text"): "exact",
    ("text", "character varying"): "exact",
    ("text", "character varying(9)"): "narrower",
    ("character(4)", "character(9)"): "other",
    ("numeric(8,2)", "numeric(10,2)"): "exact",
    ("numeric(8,2)", "numeric(10,4)"): "exact",
    ("numeric(8,2)", "numeric"): "exact",
    ("numeric(8,2)", "numeric(6,2)"): "narrower",
    ("numeric(8,2)", "numeric(8,4)"): "other",
    ("numeric(8,2)", "numeric(8,1)"): "coarser",
    ("numeric", "numeric(8,2)"): "coarser",
    ("timestamp(3) with time zone", "timestamp with time zone"): "rounded",
    ("timestamp with time zone", "timestamp(3) with time zone"): "coarser",
    ("timestamp without time zone", "timestamp with time zone"): "other",
    ("interval", "interval(3)"): "coarser",
    ("jsonb", "json"): "other",
}  # fmt: skip


@pytest.mark.parametrize(("was", "now"), CASES)
def test_a_type_holds_what_another_held(was: str, now: str) -> None:
    assert widens(was, now) == CASES[was, now]
