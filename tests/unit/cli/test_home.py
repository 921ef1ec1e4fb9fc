"""The home: one stack at a time, secrets for our eyes only, files whole or absent."""

from pathlib import Path

import pytest

from medley.cli.home import Home, InUse
from medley.runtime.errors import ConfigurationError

STATE = {"api": "http://127.0.0.1:1", "up": {"pid": 7}, "ready": True}


def test_one_stack_at_a_time(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert not home.is_locked()
    with home.lock():
        home.keep_state(STATE)
        assert home.is_locked()
        with pytest.raises(InUse, match=r"already running on .*: http://127.0.0.1:1 \(pid 7\)"), home.lock():
            pass
        assert home.running() == STATE
    assert not home.is_locked()
    with pytest.raises(ConfigurationError, match="is not running"):
        home.running()


def test_a_stack_that_is_starting_is_not_running_yet(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock():
        home.keep_state({**STATE, "ready": False})
        with pytest.raises(ConfigurationError, match="still starting"):
            home.running()


def test_keys_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock():
        keys = home.keys()
        home.keep_state(STATE)
    assert keys == home.keys()
    assert len(set(keys.values())) == len(keys) == 4
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("keys.json", "state.json")} == {0o600}


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"), Home(tmp_path / "file" / "home").lock():
        pass


def test_a_spoilt_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"state\.json cannot be read"):
        Home(tmp_path).state()
