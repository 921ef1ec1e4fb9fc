"""What sync keeps of a record is all of it, and what shapes have in common is kept once."""

import pytest

from medley.contracts.shapes import ClauseColumn, ClauseObject, Column, Predicate, ShapeDefinition, ShapeRecord
from services.sync.kept import Kept

NAMED = ClauseColumn(
    name="a", type_oid=23, modifier=-1, type_sql="integer", type_name="int4", made_of_text=False, deterministic=True
)
FUNCTION = ClauseObject(kind="function", oid=9, version="1")


def record(
    number: int, predicate: Predicate | None, conditions: tuple[tuple[str, str, str], ...] | None = None
) -> ShapeRecord:
    where = "a = $1" if predicate is not None else None
    return ShapeRecord(
        handle=f"{number}-1",
        definition=ShapeDefinition(schema_name="s", table="t", where=where, params=(str(number),) if where else ()),
        state="ready",
        relation_oid=1,
        publication_entry=7,
        columns=(Column(name="a", type_oid=23, pk_index=0),),
        protocol_schema={"a": {"type": "int4"}},
        conditions=conditions,
        snapshot=(number, number + 5, (number + 1,)),
        changes_id="c",
        predicate=predicate,
    )


def equal(number: int) -> ShapeRecord:
    predicate = Predicate(sql=f'"a" = {number}', columns=(NAMED,), tier="index", index=(f"a = {number}",))
    return record(number, predicate, (("a", "int4", str(number)),))


@pytest.mark.parametrize(
    "one",
    [
        record(1, None),
        equal(1),
        record(1, Predicate(sql="(a > 5)", columns=(NAMED,), tier="python", index=("a > 5",))),
        record(1, Predicate(sql="true", columns=(), tier="constant", constant=True)),
        record(1, Predicate(sql="f(a)", columns=(NAMED,), objects=(FUNCTION,))),
    ],
)
def test_a_record_comes_back_as_it_was(one: ShapeRecord) -> None:
    kept = Kept(one)
    assert kept.whole() == one
    assert kept.whole().model_dump_json() == one.model_dump_json()
    assert kept.definition == one.definition
    assert kept.predicate == one.predicate


def test_shapes_that_differ_in_a_constant_share_the_rest() -> None:
    one, other = Kept(equal(1)), Kept(equal(2))
    assert one.common is other.common
    assert one.encoder(None).row_key is other.encoder(None).row_key
    assert Kept(record(1, None, None)).common is not one.common
