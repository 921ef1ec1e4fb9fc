"""Free loopback ports, remembered, so that a restart comes back at the same addresses."""

import random
import socket
from collections.abc import Callable
from contextlib import closing

LOOPBACK = "127.0.0.1"

# Below every system's ephemeral range: a client that reconnects to a closed port of that range can be given the
# very same port as its own and connect to itself, and then the server cannot come back.
_LOWEST, _HIGHEST = 20_000, 32_000
_drawn = range(_LOWEST, _HIGHEST)


def draw_from_part(part: int, of: int) -> None:
    """From now on, `free_port` draws from one of as many equal parts: programs that start servers side by side would
    else be given a port that another one was given and does not listen on yet, or not again."""
    global _drawn
    size = (_HIGHEST - _LOWEST) // of
    _drawn = range(_LOWEST + part % of * size, _LOWEST + (part % of + 1) * size)


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nothing listens on."""
    for _ in range(1000):
        port = random.choice(_drawn)  # noqa: S311 - only has to differ, not to be secret
        if is_free(port):
            return port
    raise OSError(f"no free port between {_drawn.start} and {_drawn.stop - 1} on {LOOPBACK}")


class Ports:
    """Ports by name; `remembered` ones are used again while they are free."""

    def __init__(self, remembered: dict[str, int] | None = None, free: Callable[[int], bool] = is_free) -> None:
        self.chosen: dict[str, int] = {}
        self._remembered = remembered or {}
        self._free = free

    def __call__(self, name: str) -> int:
        """The port of this name; the same on every call."""
        if name not in self.chosen:
            port = self._remembered.get(name, 0)
            while not port or port in self.chosen.values() or not self._free(port):
                port = free_port()
            self.chosen[name] = port
        return self.chosen[name]
