"""Files that workers may not open are lent to them, and nothing of that stays."""

from pathlib import Path
from uuid import uuid4

import pytest

from medley.cli.lending import Inbox


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    for name in ("inbox", "allowed", "elsewhere"):
        (tmp_path / name).mkdir()
    return Inbox(tmp_path / "inbox", [tmp_path / "allowed", tmp_path / "inbox"])


def test_what_workers_may_open_is_named_as_it_is(inbox: Inbox, tmp_path: Path) -> None:
    file = tmp_path / "allowed" / "a.mp3"
    file.write_bytes(b"a")
    assert inbox.path_for(file, uuid4()) == file


def test_other_files_are_lent_and_taken_back(inbox: Inbox, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "a.mp3"
    file.write_bytes(b"a")
    (tmp_path / "allowed" / "link.mp3").symlink_to(file)
    jobs = [uuid4(), uuid4()]
    lent = [
        inbox.path_for(path, job) for path, job in zip((file, tmp_path / "allowed" / "link.mp3"), jobs, strict=True)
    ]
    assert all(place.is_relative_to(tmp_path / "inbox") and place.read_bytes() == b"a" for place in lent)
    assert [place.name for place in lent] == ["a.mp3", "link.mp3"]
    inbox.take_back(map(str, jobs))
    inbox.take_back(map(str, jobs))
    assert list((tmp_path / "inbox").iterdir()) == []
    assert file.read_bytes() == b"a"


def test_an_inbox_that_workers_may_not_open_lends_nothing(tmp_path: Path) -> None:
    closed = Inbox(tmp_path / "inbox", [tmp_path / "allowed"])
    assert closed.path_for(tmp_path / "a.mp3", uuid4()) == tmp_path / "a.mp3"
