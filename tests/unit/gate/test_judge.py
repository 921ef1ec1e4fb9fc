"""The answer of the gate: which verdict comes first, whom a finding concerns, and what a person reads."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from medley.gate import history
from medley.gate.findings import BREAKS, LOSSY, OK, Class, Finding, Role
from medley.gate.judge import Answer, Build, difference, judge
from medley.gate.needs import Column, Needs, Write
from medley.gate.objects import Catalogue, Entry
from medley.gate.records import Applied, Compat, Ledger, Started
from medley.gate.shipped import Shipped
from tests.unit.gate.made import NAME, catalogue, column, index, table, view

THEN = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
ONE, TWO = Shipped("1_one.sql", "1" * 64), Shipped("2_two.sql", "2" * 64)
TEXT = Column(type="text", nullable=False)
LIVE = catalogue(table(column("title", not_null=True), column("year", number=2), index("songs_title", "title")))
READS = Needs(service="api", reads={NAME: {"title": TEXT}})
WRITES = Needs(
    service="ingest", writes={NAME: Write(columns={"title": TEXT}, inserts=(("title",),), arbiters=(("title",),))}
)


def ledger(*applied: Shipped, compat: Compat | None = None, recorded: Catalogue = LIVE) -> Ledger:
    """`compat`: that of the last one."""
    compat = compat or Compat()
    rows = [
        Applied(each.filename, THEN, each.checksum, history.chain(applied[: n + 1]), recorded.fingerprint, compat)
        for n, each in enumerate(applied)
    ]
    return Ledger(True, tuple(rows), (), recorded)


def finding(
    rule: str, column: str = "", reader: Class = OK, writer: Class = OK, replica: Class = OK, table: str = NAME
) -> Finding:
    return Finding(rule, table, column, reader, writer, replica, f"{rule} of {table} ({column})")


def asked(needs: Needs | None, found: Finding, *roles: Role, accepted: str = "", live: Catalogue = LIVE) -> Answer:
    """A build that ships one, on a database that has two, of which the second did that."""
    compat = Compat((found,), ((accepted, "why"),) if accepted else ())
    found_ledger = ledger(ONE, TWO, compat=compat, recorded=live)
    found_ledger = replace(
        found_ledger, applied=(found_ledger.applied[0]._replace(compat=Compat()), found_ledger.applied[1])
    )
    return judge(Build((ONE,), needs, roles or ("reader", "writer")), found_ledger, live)


def test_equal_compatible_behind() -> None:
    assert judge(Build((ONE,)), ledger(ONE), LIVE).verdict == "equal"
    assert judge(Build((ONE,)), ledger(ONE, TWO), LIVE).verdict == "compatible"
    assert judge(Build((TWO, ONE)), ledger(ONE, TWO), LIVE).verdict == "compatible", "in another order"
    assert judge(Build(()), ledger(ONE), LIVE).verdict == "compatible"
    assert judge(Build(()), Ledger(), Catalogue(())).verdict == "equal"
    behind = judge(Build((ONE, TWO)), ledger(ONE), LIVE, "it fell over")
    assert behind == Answer(
        "behind",
        "found schema 1_one.sql, needed 2_two.sql (1 not applied); run `medley migrate apply`; the last run of the "
        "migrator failed: it fell over",
    )
    assert not behind.is_open


def test_waiting_comes_before_stopping() -> None:
    """Another migration may mend what does not fit yet."""
    missing = judge(Build((ONE, TWO), Needs(service="api", reads={"public.new": {"id": TEXT}})), ledger(ONE), LIVE)
    assert missing.verdict == "behind"
    started = replace(ledger(ONE), started=(Started("2_two.sql", TWO.checksum, THEN),))
    answer = judge(Build((ONE, TWO)), started, LIVE)
    assert (answer.verdict, "found 2_two.sql started at 2020-01-02 03:04:05 UTC" in answer.sentence) == ("behind", True)
    assert judge(Build((ONE,)), started, LIVE).verdict == "equal", "what others started is theirs"


def test_an_early_ledger_knows_no_checksums() -> None:
    early = Ledger(True, (Applied("1_one.sql", THEN),))
    assert judge(Build((ONE,)), early, LIVE).verdict == "compatible"
    assert judge(Build((ONE, TWO)), early, LIVE).verdict == "behind"


def test_another_text_is_another_history() -> None:
    answer = judge(Build((ONE._replace(checksum="9" * 64),)), ledger(ONE), LIVE)
    assert answer.verdict == "incompatible"
    assert "found 1_one.sql applied with another text (111111111111), needed 999999999999" in answer.sentence


CONCERNS: dict[str, tuple[Needs | None, Finding, str]] = {
    # What, for whom, and whether the build is stopped. Without a contract all of it counts.
    "any table, without a contract": (None, finding("add-check", "x", writer=BREAKS, table="public.other"), "closed"),
    "what is lost": (None, finding("recreate-column", "title", reader=LOSSY), "open"),
    "what breaks replicas": (None, finding("widen-type", "title", replica=BREAKS), "open"),
    "a column that is read": (READS, finding("drop-check", "title", reader=BREAKS), "closed"),
    "a column that is not read": (READS, finding("drop-check", "year", reader=BREAKS), "open"),
    "a whole table that is read": (READS, finding("row-security", reader=BREAKS, writer=BREAKS), "closed"),
    "a table that is only read": (READS, finding("add-trigger", writer=BREAKS), "open"),
    "another table": (READS, finding("drop-check", "title", reader=BREAKS, table="public.other"), "open"),
    "a column that is written": (WRITES, finding("add-check", "title", writer=BREAKS), "closed"),
    "a column that is not written": (WRITES, finding("add-check", "year", writer=BREAKS), "open"),
    "what is live is seen": (READS, finding("drop-column", "title", reader=BREAKS), "open"),
    "an arbiter is seen": (WRITES, finding("drop-unique", "title", writer=BREAKS), "open"),
    "other columns of that name are not seen": (READS, finding("replace-column", "title", reader=BREAKS), "closed"),
}


@pytest.mark.parametrize("name", CONCERNS)
def test_whom_a_finding_concerns(name: str) -> None:
    needs, found, gate = CONCERNS[name]
    answer = asked(needs, found)
    assert answer.is_open == (gate == "open"), answer
    if not answer.is_open:
        assert answer.verdict == "incompatible"
        assert "found 2_two.sql, which this build has never seen: " + found.sentence in answer.sentence
        assert answer.sentence.endswith("deploy a build that has this migration")


def test_a_check_that_asks_for_null_concerns_who_leaves_the_column_out() -> None:
    found = finding("add-check", "year", writer=BREAKS)._replace(sentence="CHECK ((year IS NOT NULL))")
    assert asked(WRITES, found).verdict == "incompatible"
    updates = Needs(service="x", writes={NAME: Write(columns={"title": TEXT}, updates=("title",))})
    assert asked(updates, found).verdict == "compatible"


def test_a_replica_is_told_what_no_query_would_see() -> None:
    loosened = finding("drop-unique", "title", replica=BREAKS)
    for needs in (None, READS):
        assert asked(needs, loosened, "replica").verdict == "incompatible"
    assert asked(WRITES, loosened, "replica").verdict == "compatible", "it has no copy of that table"
    assert asked(READS, loosened, "reader").verdict == "compatible"


def test_what_is_written_through_a_view_is_not_seen() -> None:
    live = catalogue(view(column("title"), name=NAME, reads={"public.tracks": ["title"]}))
    assert asked(WRITES, finding("add-required-column", writer=BREAKS), live=live).verdict == "incompatible"
    assert asked(WRITES, finding("drop-column", "title", writer=BREAKS), live=live).verdict == "compatible"


def test_what_the_author_accepts() -> None:
    found = finding("add-check", "title", reader=BREAKS, writer=BREAKS)
    assert asked(WRITES, found, "writer", accepted="writer-breaking").verdict == "compatible"
    assert asked(WRITES, found, "writer", accepted="reader-breaking").verdict == "incompatible"
    assert asked(None, found, accepted="writer-breaking").verdict == "incompatible", "the reader is broken all the same"


def test_an_accepted_not_null_overrules_the_contract_and_nothing_else_does() -> None:
    may_be_null = WRITES.writes[NAME].model_copy(update={"columns": {"title": Column(type="text", nullable=True)}})
    needs = Needs(service="ingest", writes={NAME: may_be_null})
    found = finding("set-not-null", "title", writer=BREAKS)
    assert asked(needs, found, "writer").verdict == "incompatible"
    assert asked(needs, found, "writer", accepted="writer-breaking").verdict == "compatible"
    elsewhere = finding("set-not-null", "year", writer=BREAKS)
    assert asked(needs, elsewhere, "writer", accepted="writer-breaking").verdict == "incompatible"


def test_a_misfit_counts_for_the_role_that_asks() -> None:
    needs = Needs(service="x", reads={"public.gone": {"id": TEXT}}, writes=WRITES.writes)
    assert asked(needs, finding("x"), "writer").verdict == "compatible"
    for role in ("reader", "replica"):
        assert "found no table public.gone" in asked(needs, finding("x"), role).sentence


def test_many_reasons_are_counted() -> None:
    needs = Needs(service="x", reads={f"public.t{n}": {"id": TEXT, "of": TEXT} for n in range(5)})
    assert asked(needs, finding("x")).sentence.endswith("(and 2 more)")


def test_one_reason_is_told_once() -> None:
    both = tuple(finding("add-check", each, writer=BREAKS)._replace(sentence="same") for each in ("title", ""))
    answer = judge(Build((ONE,), WRITES), ledger(ONE, TWO, compat=Compat(both)), LIVE)
    assert answer.sentence.count("same") == 1


def by_hand(*parts: Entry, needs: Needs | None) -> Answer:
    live = catalogue(table(column("title", not_null=True), index("songs_title", "title"), *parts))
    return judge(Build((ONE,), needs), ledger(ONE), live)


def test_drift_is_open_unless_it_breaks() -> None:
    more = index("more", "title", unique=False)
    answer = by_hand(column("year", number=2), more, needs=READS)
    assert (answer.verdict, answer.is_open) == ("drift", True)
    assert f"+ index {NAME}.more" in answer.sentence and "`medley migrate status`" in answer.sentence
    assert by_hand(needs=READS).verdict == "drift", "a column that nobody reads is gone"
    guarded = by_hand(column("year", number=2), index("once", "lower(title)", uses=["title"]), needs=WRITES)
    assert guarded.verdict == "incompatible"
    assert "changed by hand, not by a migration: once is added to public.songs (title)" in guarded.sentence
    assert by_hand(needs=None).verdict == "incompatible", "whoever has no contract may read it"


def test_a_difference_is_one_line_an_object() -> None:
    was = view(name="public.v", reads={})[0]._replace(definition=" SELECT id,\n    title\n   FROM songs;")
    now = was._replace(definition=" SELECT id\r\n   FROM\u2028songs;")
    assert difference(catalogue([was]), catalogue([now])) == [
        "~ view public.v: SELECT id, title FROM songs; -> SELECT id FROM songs;"
    ]
    assert difference(catalogue([was]), catalogue()) == ["- view public.v SELECT id, title FROM songs;"]
    assert difference(catalogue(), catalogue([now])) == ["+ view public.v SELECT id FROM songs;"]
    assert difference(catalogue(table()), catalogue()) == ["- table public.songs"]
