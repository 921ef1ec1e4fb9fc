"""`medley migrate new`: a template that sorts after everything, and passes compile and lint as it is."""

import re
import shutil
import time
from pathlib import Path

import pytest

from medley.runtime.errors import ConfigurationError
from services.migrator import migrations
from services.migrator.commands.on_files import compiled
from services.migrator.commands.template import new
from tests.integration.migrator.init_files import PATH
from tests.support.migrator import Migrations

SCHEMA = Path(__file__).resolve().parents[3] / "schema"


@pytest.fixture
def files(tmp_path: Path, postgres_server: str) -> Migrations:
    for path in SCHEMA.glob("[0-9]*.sql"):
        shutil.copy(path, tmp_path)
    return Migrations(tmp_path, postgres_server)


async def test_its_path_is_printed_and_it_passes_as_it_is(files: Migrations, monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = {path.name for path in files.folder.iterdir()}, int(time.time())
    done = await files.run("new", "Add year  to-songs!")
    path = Path(done.out.removesuffix("\n"))
    assert (
        done.code == 0
        and path.parent == files.folder
        and {path.name} == {each.name for each in files.folder.iterdir()} - before
    )
    assert re.fullmatch(r"\d{10}_add_year_to_songs\.sql", path.name) and int(path.name[:10]) >= asked
    assert migrations.read(files.folder)[-1].text.startswith("-- Add year to songs.\n")
    as_json = await files.run("new", "add year to songs", "--json")
    assert as_json.code == 0 and as_json.value["path"] > str(path)
    monkeypatch.setenv("PATH", PATH)
    assert (await compiled(files.folder, files.dsn)).code == 0
    lint = await files.run("lint")
    assert (lint.code, lint.out) == (0, "4 migrations, nothing to say against them\n")


async def test_it_sorts_after_a_file_of_the_future(files: Migrations) -> None:
    files.add("flying_cars", "SELECT 1;", stamp=4_000_000_000)
    first, second = new(files.folder, "a"), new(files.folder, "a")
    assert (first.name, second.name) == ("4000000001_a.sql", "4000000002_a.sql")
    assert [file.filename for file in migrations.read(files.folder)][-2:] == [first.name, second.name]
    files.add("end_of_time", "SELECT 1;", stamp=9_999_999_999)
    with pytest.raises(ConfigurationError, match="nothing sorts after it"):
        new(files.folder, "a")


async def test_a_name_without_words_is_refused(files: Migrations) -> None:
    before = sorted(files.folder.iterdir())
    for name in ("", "  ", "../..", "日本"):
        with pytest.raises(ConfigurationError, match="holds no word"):
            new(files.folder, name)
    done = await files.run("new", "--json", "…")
    assert done.code == 1 and "holds no word" in done.value["error"] and "medley: " in done.err
    with pytest.raises(ConfigurationError, match=r"cannot write .* a shorter name"):
        new(files.folder, "x" * 300)
    with pytest.raises(ConfigurationError, match="set SCHEMA_DIR"):
        new(files.folder / "nowhere", "a")
    assert sorted(files.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [("Größe & Maß", "grosse_mass"), ("don't_Stop", "dont_stop"), ("../etc/passwd", "etc_passwd"), ("2024", "2024")],
)
def test_words_are_lower_case_letters_and_digits(name: str, words: str, tmp_path: Path) -> None:
    assert new(tmp_path, name).name[11:] == f"{words}.sql"
