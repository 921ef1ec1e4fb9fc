"""`medley migrate lint`: exit codes, findings as lines and as JSON, what a file accepts, what was merged late."""

import subprocess
from pathlib import Path

import pytest

from medley.runtime.errors import ConfigurationError
from services.migrator.commands.on_files import linted
from tests.support.migrator import Migrations

SCHEMA = Path(__file__).resolve().parents[3] / "schema"
SONGS = 'CREATE TABLE songs (id int PRIMARY KEY, title text NOT NULL, year int, "Odd" text);\n'


@pytest.fixture
def files(tmp_path: Path, postgres_server: str) -> Migrations:
    return Migrations(tmp_path, postgres_server)


async def lines(files: Migrations) -> list[str]:
    """Each finding's place and rule."""
    report = await linted(files.folder, files.dsn)
    return [f"{f['file'][11:]}:{f['line']}:{f['column']} {f['rule']}" for f in report.value["findings"]]


async def test_findings_are_lines_and_json_and_fail(files: Migrations) -> None:
    name = files.add("songs", SONGS + "INSERT INTO songs VALUES (1, 'one');\nCREATE VIEW v AS SELECT * FROM songs;\n")
    done, as_json = await files.run("lint"), await files.run("lint", "--json")
    assert done.code == as_json.code == 1 and done.err == ""
    assert [line.split(": ")[:2] for line in done.out.splitlines()] == [
        [f"{name}:2:1", "insert-columns"],
        [f"{name}:3:25", "select-star"],
    ]
    shown = ["{file}:{line}:{column}: {rule}: {why}; {instead}".format(**each) for each in as_json.value["findings"]]
    assert shown == done.out.splitlines() and as_json.value["accepted"] == []


async def test_what_a_file_accepts_is_shown_with_its_reason_and_does_not_fail(files: Migrations) -> None:
    files.add("songs", SONGS)
    name = files.add(
        "year",
        '-- lint: accept rewrites-table reason="the table is small"\n'
        '-- compat: accept reader-breaking reason="nobody reads it"\n'
        '-- compat: accept writer-breaking reason="nobody writes it"\n'
        '-- compat: accept replica-breaking reason="clients are told"\n'
        "ALTER TABLE songs ALTER COLUMN year TYPE text;\n",
    )
    report = await linted(files.folder, files.dsn)
    assert report.code == 0 and report.value["findings"] == []
    reasons = {each["rule"]: each["reason"] for each in report.value["accepted"]}
    assert reasons["rewrites-table"] == "the table is small" and reasons["reader-breaking"] == "nobody reads it"
    assert f"{name}:5:1: rewrites-table, accepted: the table is small" in report.text.splitlines()
    assert f"{name}:5:32: writer-breaking, accepted: nobody writes it" in report.text.splitlines()
    assert report.text.endswith("2 migrations, nothing to say against them")


# Of songs_0, songs_1, …: what breaks somebody, and where it should be told.
BREAKS = {
    "ALTER TABLE {t} ADD COLUMN id2 int,\n  DROP COLUMN title;": "2:15",
    "COMMENT ON COLUMN {t}.title IS 'x';\nALTER TABLE public.{t}\n  RENAME title TO name;": "3:10",
    "UPDATE {t} SET title = '';\nALTER TABLE ONLY {t} ALTER title DROP NOT NULL;": "2:32",
    'ALTER TABLE {t} DROP "Odd";': "1:26",
    "SELECT 1;\nDROP TABLE\n  {t};": "3:3",
    "DO $$\nBEGIN\n  IF true THEN\n    ALTER TABLE {t} DROP COLUMN title;\n  END IF;\nEND $$;": "4:37",
    "DO $$\nBEGIN\n  EXECUTE 'ALTER TABLE {t} DROP title';\nEND $$;": "3:37",
    "DO $$\nBEGIN\n  EXECUTE 'ALTER TABLE so' || 'ngs_7 DROP ti' || 'tle';\nEND $$;": "1:1",
}


async def test_what_breaks_somebody_is_told_where_the_column_is_named(files: Migrations) -> None:
    files.add("songs", "".join(SONGS.replace("songs", f"songs_{number}") for number in range(len(BREAKS))))
    names = [files.add("breaks", text.format(t=f"songs_{number}")) for number, text in enumerate(BREAKS)]
    report = await linted(files.folder, files.dsn)
    found = [each for each in report.value["findings"] if "-breaking" in each["rule"]]
    assert {each["file"]: f"{each['line']}:{each['column']}" for each in found} == dict(
        zip(names, BREAKS.values(), strict=True)
    )
    assert report.code == 1 and all("or accept it: -- compat: accept " in each["instead"] for each in found)


async def test_each_role_is_accepted_by_its_own_name(files: Migrations) -> None:
    files.add("songs", SONGS)
    files.add("drops", '-- compat: accept reader-breaking reason="all read year"\nALTER TABLE songs DROP title;\n')
    report = await linted(files.folder, files.dsn)
    [found], [accepted] = report.value["findings"], report.value["accepted"]
    assert report.code == 1 and found["rule"] == "writer-breaking, replica-breaking"
    assert (accepted["rule"], accepted["reason"]) == ("reader-breaking", "all read year")
    assert "-- compat: accept writer-breaking" in found["instead"] and "later migration" in found["instead"]


async def test_files_that_do_not_apply_are_left_to_compile(files: Migrations) -> None:
    files.add("songs", "CREATE TABLE songs (id int,);\n")
    done = await files.run("lint")
    assert done.code == 1 and "does-not-apply" in done.out and "medley migrate compile tells where" in done.out
    assert [line.split(" ")[-1] for line in await lines(files)] == ["does-not-apply"]


async def test_what_was_merged_late_fails_against_a_revision(files: Migrations) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", files.folder, *arguments], check=True, capture_output=True)

    mine = files.add("mine", "CREATE TABLE mine (id int);", stamp=1_600_000_005)
    (files.folder / mine).rename(files.folder / "kept")
    files.add("songs", SONGS)
    git("init", "-b", "main")
    git("add", "--", "*.sql")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    (files.folder / "kept").rename(files.folder / mine)
    later = files.add("later", "CREATE TABLE later (id int);")
    done = await files.run("lint", "--base", "main", "--json")
    assert done.code == 1
    [found] = done.value["findings"]
    assert (found["file"], found["rule"]) == (mine, "late-merged") and later not in done.out
    assert (await linted(files.folder, files.dsn)).code == 0
    with pytest.raises(ConfigurationError, match=r"fetch nowhere first \(in CI: the whole history\)"):
        await linted(files.folder, files.dsn, "nowhere")
    (files.folder / mine).unlink()
    assert (await linted(files.folder, files.dsn, "main")).code == 0


async def test_our_own_schema_is_clean(postgres_server: str) -> None:
    report = await linted(SCHEMA, postgres_server)
    assert (report.code, report.text) == (0, "2 migrations, nothing to say against them")
