"""What a client's history is worth: served, told to wait, or told what to do; never wrong data."""

from datetime import UTC, datetime

import pytest

from medley.gate import history
from medley.gate.clients import judge_client
from medley.gate.findings import Finding
from medley.gate.records import Applied, Compat, Ledger, compat_from

NOW = datetime.now(UTC)
A, B, C, D = history.steps((f"{n}.sql", str(n)) for n in range(4))
BREAKS = Compat(
    (Finding("widen-type", "public.songs", "id", "compatible", "compatible", "breaking", "songs.id grows"),)
)
ACCEPTED = Compat(BREAKS.findings, (("replica-breaking", "no client keeps songs"),))


def ledger(*compats: Compat | None) -> Ledger:
    rows = zip((A, B, C, D), compats, strict=False)
    return Ledger(True, tuple(Applied(f"{n}.sql", NOW, str(n), h, "v1:x", c) for n, (h, c) in enumerate(rows)))


@pytest.mark.parametrize(
    ("asked", "there", "verdict", "served"),
    [
        (B, ledger(Compat(), Compat()), "equal", True),
        (A, ledger(Compat(), Compat(), Compat()), "compatible", True),
        ("", ledger(Compat(), Compat()), "compatible", True),
        (A, ledger(Compat(), Compat(), BREAKS), "incompatible", False),
        (A, ledger(Compat(), ACCEPTED), "compatible", True),
        (A, ledger(Compat(), None), "incompatible", False),
        (C, ledger(BREAKS, BREAKS, Compat(), Compat()), "compatible", True),
        (C, ledger(Compat(), Compat()), "behind", False),
        ("f" * 64, ledger(Compat(), Compat()), "unknown", False),
        ("", Ledger(), "equal", True),
    ],
)
def test_a_client_is_served_what_fits_its_copy(asked: str, there: Ledger, verdict: str, served: bool) -> None:
    given = judge_client(asked, there, known=(A, B, C))
    assert (given.verdict, given.is_served) == (verdict, served)


def test_the_sentence_names_what_breaks_and_what_to_do() -> None:
    sentence = judge_client(A, ledger(Compat(), BREAKS)).sentence
    assert "1.sql" in sentence and "songs.id grows" in sentence and "GET /v1/schema/bundle" in sentence


def test_what_a_newer_migrator_recorded_is_read_and_what_nobody_can_read_is_unclassified() -> None:
    newer = BREAKS.as_json().replace('"rule"', '"colour": "red", "rule"')
    assert compat_from(newer) == BREAKS
    assert compat_from("{}") is None
