"""What a run would do: pending files, and histories that are refused by name."""

from datetime import UTC, datetime

from medley.gate.records import Applied, Ledger, Started
from services.migrator.migrations import Migration
from services.migrator.plan import plan

NOW = datetime.now(UTC)
A, B, C, D = (Migration(f"160000000{n}_{word}.sql", f"SELECT {n};") for n, word in enumerate("abcd"))


def ledger(*done: Migration | Applied, started: tuple[Started, ...] = ()) -> Ledger:
    rows = (row if isinstance(row, Applied) else Applied(row.filename, NOW, row.checksum) for row in done)
    return Ledger(True, tuple(rows), started)


def test_what_is_not_applied_is_pending_in_order() -> None:
    assert plan([A, B, C], Ledger()).pending == (A, B, C)
    assert plan([A, B, C], ledger(A, Applied(B.filename, NOW))).pending == (C,)
    assert not plan([A, B], ledger(A, B)).pending


def test_a_changed_file_is_refused_by_name() -> None:
    (sentence,) = plan([A], ledger(Applied(A.filename, NOW, "0" * 64))).refusals
    assert sentence.startswith(f"{A.filename} was changed after it was applied (found {A.checksum[:12]}, applied 0000")
    assert "--edited" in sentence


def test_a_file_that_is_gone_is_refused_and_a_database_that_is_ahead_is_not() -> None:
    gone = plan([A, C], ledger(A, B, C))
    assert gone.ahead == ()
    assert B.filename in gone.refusals[0] and "missing here" in gone.refusals[0]
    ahead = plan([A, B], ledger(A, B, C, D))
    assert (ahead.ahead, ahead.refusals) == ((C.filename, D.filename), ())


def test_a_late_file_is_refused_with_its_newer_neighbours_unless_allowed() -> None:
    late = plan([A, B, C], ledger(A, C))
    assert late.refusals[0].startswith(f"{B.filename} is older than {C.filename}")
    allowed = plan([A, B, C], ledger(A, C), allow_out_of_order=True)
    assert (allowed.pending, set(allowed.out_of_order), allowed.refusals) == ((B,), {B.filename}, ())


def test_what_was_started_asks_for_a_word() -> None:
    (sentence,) = plan([A], ledger(started=(Started(A.filename, A.checksum, NOW),))).refusals
    assert f"resolve {A.filename} --applied" in sentence and "--retry" in sentence


def test_everything_is_told_at_once() -> None:
    refusals = plan([A, B, D], ledger(Applied(A.filename, NOW, "0" * 64), C, D)).refusals
    assert [sentence.split()[0] for sentence in refusals] == [A.filename, C.filename, B.filename]
