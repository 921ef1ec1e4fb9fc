"""The gate's answer, and named SQL."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from medley.contracts.schema import SchemaState
from medley.runtime import statements
from medley.runtime.errors import ConfigurationError
from medley.runtime.gate import judge, required_migrations
from medley.runtime.settings import SchemaSettings

NOW = datetime.now(UTC)


def state(*applied: str, reason: str | None = None) -> SchemaState:
    return SchemaState(verdict="failed" if reason else "compatible", applied=applied, reason=reason, published_at=NOW)


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (None, "behind", "no migrator has reported"),
        (state(), "behind", "needed 2_b.sql (2 not applied)"),
        (state("1_a.sql"), "behind", "found schema 1_a.sql, needed 2_b.sql (1 not applied)"),
        (state("1_a.sql", "2_b.sql"), "compatible", "2_b.sql fits"),
        (state("1_a.sql", "2_b.sql", "3_c.sql"), "compatible", "3_c.sql fits"),
        (state("1_a.sql", reason="it broke"), "failed", "it broke"),
    ],
)
def test_the_gate_says_what_was_found_and_what_is_needed(found: SchemaState | None, verdict: str, words: str) -> None:
    answer = judge(("1_a.sql", "2_b.sql"), found)
    assert answer.verdict == verdict
    assert words in answer.sentence


def test_every_service_needs_the_migrations_that_it_ships(tmp_path: Path) -> None:
    assert required_migrations(SchemaSettings().dir)
    with pytest.raises(ConfigurationError, match="SCHEMA_DIR"):
        required_migrations(tmp_path / "nowhere")


def test_statements_have_names(tmp_path: Path) -> None:
    (tmp_path / "songs.sql").write_text("-- name: one\n-- A sentence.\nSELECT 1\n\n-- name: two\nSELECT 2\n")
    assert statements.load(str(tmp_path / "songs.py")) == {"one": "-- A sentence.\nSELECT 1", "two": "SELECT 2"}


def test_a_statement_is_defined_once(tmp_path: Path) -> None:
    (tmp_path / "songs.sql").write_text("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n")
    with pytest.raises(ValueError, match="twice"):
        statements.load(str(tmp_path / "songs.py"))
