"""A path is opened below the allowed folders, or not at all."""

import os
import socket
from pathlib import Path

import pytest

from services.ingest.folders import open_below
from services.ingest.refusals import Refused


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "song.flac").write_bytes(b"inside")
    (tmp_path / "secret.txt").write_bytes(b"outside")
    (tmp_path / "music-not").mkdir()
    (tmp_path / "music-not" / "x").write_bytes(b"outside")
    return folder


def test_a_file_below_an_allowed_folder_is_opened(allowed: Path) -> None:
    with open_below([allowed], str(allowed / "deep" / "song.flac")) as file:
        assert file.read() == b"inside"


def test_a_link_that_stays_inside_is_followed(allowed: Path) -> None:
    (allowed / "link.flac").symlink_to(allowed / "deep" / "song.flac")
    (allowed / "linked").symlink_to(allowed / "deep")
    for name in ("link.flac", "linked/song.flac"):
        with open_below([allowed], str(allowed / name)) as file:
            assert file.read() == b"inside"


def test_an_allowed_folder_may_itself_be_a_link(allowed: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(allowed)
    with open_below([tmp_path / "alias"], str(allowed / "deep" / "song.flac")) as file:
        assert file.read() == b"inside"


def _refused(allowed: Path, path: str | Path) -> str:
    with pytest.raises(Refused) as refusal:
        open_below([allowed], str(path))
    return str(refusal.value)


def test_a_link_that_leads_out_is_refused(allowed: Path, tmp_path: Path) -> None:
    (allowed / "out").symlink_to(tmp_path / "secret.txt")
    (allowed / "up").symlink_to(tmp_path)
    assert "outside" in _refused(allowed, allowed / "out")
    assert "outside" in _refused(allowed, allowed / "up" / "secret.txt")


@pytest.mark.parametrize("name", ["../secret.txt", "../music-not/x", "deep/../../secret.txt"])
def test_dots_are_refused(allowed: Path, name: str) -> None:
    assert "without '..'" in _refused(allowed, f"{allowed}/{name}")


def test_a_folder_whose_name_only_begins_alike_is_outside(allowed: Path, tmp_path: Path) -> None:
    assert "outside" in _refused(allowed, tmp_path / "music-not" / "x")


def test_outside_it_does_not_say_what_exists(allowed: Path, tmp_path: Path) -> None:
    assert "outside" in _refused(allowed, tmp_path / "no such file")


@pytest.mark.parametrize("path", ["song.flac", "", "/etc/pass\x00wd", "~/x"])
def test_what_is_no_absolute_path_is_refused(allowed: Path, path: str) -> None:
    assert "absolute" in _refused(allowed, path)


def test_a_missing_file_is_said(allowed: Path) -> None:
    assert "no file at" in _refused(allowed, allowed / "gone.flac")
    assert "no file at" in _refused(allowed, allowed / "gone" / "x.flac")


def test_a_file_is_no_folder(allowed: Path) -> None:
    assert "cannot be opened" in _refused(allowed, allowed / "deep" / "song.flac" / "x")


def test_only_regular_files(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(allowed)  # a socket's path has at most 107 bytes
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        assert "regular" in _refused(allowed, allowed / "deep")
        assert "regular" in _refused(allowed, allowed)
        assert "regular" in _refused(allowed, allowed / "pipe")
        assert "cannot be opened" in _refused(allowed, allowed / "socket")


def test_a_circle_of_links_is_refused(allowed: Path) -> None:
    (allowed / "a").symlink_to(allowed / "b")
    (allowed / "b").symlink_to(allowed / "a")
    assert "cannot be opened" in _refused(allowed, allowed / "a")


def test_without_allowed_folders_paths_are_off(allowed: Path) -> None:
    with pytest.raises(Refused, match="INGEST_ALLOWED_FOLDERS"):
        open_below([], str(allowed / "deep" / "song.flac"))
