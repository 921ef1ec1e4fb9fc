"""Work in terms: whatever fails ends one, and the next begins with what Postgres and JetStream hold."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.errors import Error as NatsError

from medley.runtime.errors import Transient
from medley.runtime.postgres import FAILURES
from medley.runtime.together import told_to_end

log = structlog.get_logger()

_TRANSIENT = (Transient, NatsError, *FAILURES)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_STEADY = 10.0
"""Seconds after which a term counts as one that went well."""


class BusLost(Transient):
    """The connection to NATS broke; the term ends, since acks and deliveries may be missing."""


class StreamsGone(Transient):
    """A stream or bucket is not the one that it was."""


class Waiting(Transient):
    """There is nothing to do now; `pause` seconds later there may be."""

    def __init__(self, reason: str, pause: float) -> None:
        super().__init__(reason)
        self.pause = pause


async def repeat(what: str, term: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Term after term until `stop`; ends before only by an error that repeating cannot mend."""
    clock = asyncio.get_running_loop().time
    pause, waiting = _FIRST_PAUSE, False
    while not stop.is_set():  # a cancellation may be lost inside of a library while a server is frozen
        started = clock()
        try:
            await term()
        except Waiting as nothing:
            if not waiting:
                log.info(f"{what} stands by", reason=str(nothing))
            waiting = True
            await asyncio.sleep(nothing.pause)
            continue
        except (*_TRANSIENT, ExceptionGroup) as error:
            log.warning(f"{what}: term ended", reason=_reason(error))
        except asyncio.CancelledError:
            if told_to_end():
                raise
            log.warning(f"{what}: term ended", reason="a library gave up what it waited for")
        waiting = False
        if clock() - started > _STEADY:
            pause = _FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


async def fail_when(lost: asyncio.Event) -> None:
    await lost.wait()
    raise BusLost("the connection to NATS broke")


def _reason(error: BaseException) -> str:
    """The first cause inside a group, in words. Raises what no repeat can mend."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if not isinstance(inner, (*_TRANSIENT, BaseExceptionGroup)):
                raise inner
        return _reason(error.exceptions[0])
    return str(error) or repr(error)
