"""When a child that died is started again, and when it is given up. Pure.

Deaths by its own doing (an exit code, a crash) count fully. A child that something outside killed (SIGKILL, SIGTERM)
is given more chances: it says little about the child.
"""

import signal
from dataclasses import dataclass, field

WINDOW = 60.0  # seconds in which deaths add up
SETTLED = 30.0  # a life this long wipes the slate
OWN_DEATHS = 5
ALL_DEATHS = 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


@dataclass(slots=True)
class Restarts:
    """The record of one child."""

    _own: list[float] = field(default_factory=list)
    _all: list[float] = field(default_factory=list)

    def died(self, now: float, lived: float, code: int) -> float | None:
        """Seconds to wait before the next start; None: give up."""
        if lived >= SETTLED:
            self._own.clear()
            self._all.clear()
        self._all = [*(at for at in self._all if at > now - WINDOW), now]
        self._own = [at for at in self._own if at > now - WINDOW]
        if code not in _FROM_OUTSIDE:
            self._own.append(now)
        if len(self._own) >= OWN_DEATHS or len(self._all) >= ALL_DEATHS:
            return None
        return float(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (len(self._all) - 1)))


def fate(code: int) -> str:
    """An exit code in words.

    >>> fate(-9), fate(1)
    ('was killed by SIGKILL', 'ended with exit code 1')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
