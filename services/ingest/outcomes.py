"""Decides what becomes of a message. Pure: how its job went in, one of three outcomes out."""

from dataclasses import dataclass
from typing import assert_never

from medley.runtime.errors import MedleyError, Permanent, Transient


@dataclass(frozen=True, slots=True)
class Ack:
    """Done, now or by an earlier delivery."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Back to the queue, for `delay` seconds."""

    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    """It will never succeed: a failed row, a copy among the dead letters."""

    reason: str


Outcome = Ack | Retry | Park


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds before the first and at most before any retry; how often an unexpected error is tried."""

    first: float
    most: float
    unexpected_attempts: int

    def delay(self, delivery: int) -> float:
        """Doubles with each delivery, counted from 1.

        >>> [RetryPolicy(1, 60, 5).delay(n) for n in (1, 2, 3, 10, 5000)]
        [1.0, 2.0, 4.0, 60, 60]
        """
        return min(self.most, self.first * float(1 << min(delivery - 1, 30)))


def outcome(error: Exception | None, delivery: int, policy: RetryPolicy) -> Outcome:
    """What is transient is tried for ever: it waits for a server. What nobody foresaw is tried a few times."""
    match error:
        case None:
            return Ack()
        case Permanent():
            return Park(str(error))
        case Transient() | MedleyError():
            return Retry(policy.delay(delivery), str(error))
        case Exception() if delivery < policy.unexpected_attempts:
            return Retry(policy.delay(delivery), f"unexpected {type(error).__name__}: {error}")
        case Exception():
            return Park(f"unexpected {type(error).__name__}: {error}; {delivery} attempts")
        case _:
            assert_never(error)
