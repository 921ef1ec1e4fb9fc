"""Named SQL."""

from pathlib import Path

import pytest

from medley.runtime import statements


def test_statements_have_names(tmp_path: Path) -> None:
    (tmp_path / "songs.sql").write_text("-- name: one\n-- A sentence.\nSELECT 1\n\n-- name: two\nSELECT 2\n")
    assert statements.load(str(tmp_path / "songs.py")) == {"one": "-- A sentence.\nSELECT 1", "two": "SELECT 2"}


def test_a_statement_is_defined_once(tmp_path: Path) -> None:
    (tmp_path / "songs.sql").write_text("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n")
    with pytest.raises(ValueError, match="twice"):
        statements.load(str(tmp_path / "songs.py"))
