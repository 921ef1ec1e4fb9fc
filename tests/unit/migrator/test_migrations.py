"""Files of migrations: their names, their order, and what is refused."""

from pathlib import Path

import pytest

from medley.runtime.errors import ConfigurationError
from services.migrator.migrations import Migration, read

A, B, C = (Migration(f"160000000{n}_x.sql", f"SELECT {n};") for n in range(3))


def test_files_are_read_in_order_and_line_endings_do_not_count(tmp_path: Path) -> None:
    (tmp_path / B.filename).write_bytes(b"\xef\xbb\xbfSELECT 1;\r\n")
    (tmp_path / A.filename).write_text("SELECT 0;")
    (tmp_path / "init.sql").write_text("not a migration")
    found = read(tmp_path)
    assert [migration.filename for migration in found] == [A.filename, B.filename]
    assert found[1].checksum == Migration(B.filename, "SELECT 1;\n").checksum


@pytest.mark.parametrize("names", [["1_x.sql"], ["1600000000-x.sql"], ["1600000000_a.sql", "1600000000_b.sql"]])
def test_other_names_and_equal_timestamps_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(ConfigurationError, match=names[0]):
        read(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SCHEMA_DIR"):
        read(tmp_path / "nowhere")
