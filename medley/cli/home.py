"""The home: the folder that holds everything of one stack, which at most one `medley up` uses at a time.

lock         held (flock) while a stack runs; the kernel lets go of it however the stack ends
keys.json    passwords and keys, made once (0600)
ports.json   the ports of last time
state.json   addresses and pids of the running stack (0600); removed by an orderly stop
postgres/ nats/ s3/   data · inbox/ a folder from which files may be ingested · logs/ · spool/
"""

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medley.runtime.errors import ConfigurationError

_KEYS: dict[str, Callable[[], str]] = {
    "postgres_password": lambda: secrets.token_urlsafe(24),
    "nats_password": lambda: secrets.token_urlsafe(24),
    "s3_access_key": lambda: secrets.token_hex(10),
    "s3_secret_key": lambda: secrets.token_hex(20),
}
State = dict[str, Any]


class InUse(ConfigurationError):
    """Another stack runs on this home."""


class Home:
    """The folder `path`; nothing is made before `lock`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Make the folder and hold it. Raises InUse, and ConfigurationError when it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in ("inbox", "logs", "spool"):
                (self / name).mkdir(exist_ok=True)
            file = (self / "lock").open("a")
        except OSError as error:
            raise ConfigurationError(
                f"the home {self.path} cannot be written ({error.strerror}: {error.filename}); "
                "choose another with --home"
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse(self._in_use()) from None
            yield

    def is_locked(self) -> bool:
        """Whether a stack runs on this home now."""
        try:
            with (self / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _in_use(self) -> str:
        state = self.state()
        where = f": {state['api']} (pid {state['up']['pid']})" if state else ""
        return f"medley is already running on {self.path}{where}; stop it first, or choose another --home"

    def keys(self) -> dict[str, str]:
        """Passwords and keys by name; missing ones are made and kept."""
        kept: dict[str, str] = self._read("keys.json") or {}
        made = {name: kept.get(name) or make() for name, make in _KEYS.items()}
        if made != kept:
            self._write("keys.json", made)
        return made

    def ports(self) -> dict[str, int]:
        return self._read("ports.json") or {}

    def keep_ports(self, ports: dict[str, int]) -> None:
        self._write("ports.json", ports)

    def state(self) -> State | None:
        """What the last stack wrote; None after an orderly stop."""
        state: State | None = self._read("state.json")
        return state

    def keep_state(self, state: State) -> None:
        self._write("state.json", state)

    def forget_state(self) -> None:
        (self / "state.json").unlink(missing_ok=True)

    def running(self) -> State:
        """The state of the stack that runs and is ready. Raises ConfigurationError when there is none."""
        state = self.state()
        if state is None or not self.is_locked():
            raise ConfigurationError(
                f"medley is not running on {self.path}; start it with `medley up --home {self.path}`"
            )
        if not state["ready"]:
            raise ConfigurationError(f"medley on {self.path} is still starting; its logs say how far it is")
        return state

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self / name).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self / name} cannot be read ({error}); is this your home?") from error

    def _write(self, name: str, value: Any) -> None:
        """Whole or not at all, and for our eyes only (mkstemp makes 0600)."""
        descriptor, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{name}.")
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file, indent=1)
        Path(temporary).replace(self / name)
