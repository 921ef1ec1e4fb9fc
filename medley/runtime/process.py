"""The life of a process: logs first, then the service, a signal to stop, an exit code that tells the truth."""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop
from pydantic import ValidationError

from medley.runtime import logs
from medley.runtime.errors import MedleyError

log = structlog.get_logger()

T = TypeVar("T")

# Rows are many small objects without cycles; to look for cycles every 700 of them costs more than they do.
_COLLECT = (50_000, 20, 50)


class Stopped(Exception):
    """The signal to stop came while the service was still starting."""


Service = Callable[[asyncio.Event], Awaitable[None]]


def run(service: str, main: Service, stop_within: float = 5.0) -> None:
    """Run `main(stop)` until it returns; SIGINT and SIGTERM set `stop`.

    Exits with 0 when it returned; a MedleyError is one line and its own code, anything else a traceback and 1. A
    service that has not stopped `stop_within` seconds after the signal, since a server that it waits for is frozen, is
    left as it is: whatever it was doing must survive a kill anyway.
    """
    logs.configure(service)
    gc.set_threshold(*_COLLECT)
    sys.exit(uvloop.run(_supervised(service, main, stop_within)))


async def _supervised(service: str, main: Service, stop_within: float) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def leave() -> None:
        log.warning(f"{service} did not stop within {stop_within:g} s: leaving")
        os._exit(0)

    def signalled() -> None:
        if not stop.is_set():
            stop.set()
            late = threading.Timer(stop_within, leave)
            late.daemon = True
            late.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled)
    try:
        await main(stop)
    except Stopped:
        pass
    except MedleyError as error:
        log.error(f"{service} stopped", reason=str(error))
        return error.exit_code
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        log.error(f"{service} stopped", reason=f"a setting of {error.title} is wrong: {'; '.join(wrong)}")
        return 1
    except Exception:
        log.exception(f"{service} failed")
        return 1
    log.info(f"{service} stopped")
    return 0


async def unless_stopped(stop: asyncio.Event, starting: Coroutine[Any, Any, T]) -> T:
    """The result of a step of starting; raises Stopped, with the step cancelled, when the signal comes first."""
    step = asyncio.ensure_future(starting)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({step, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if step.done():
            return step.result()
        raise Stopped
    finally:
        stopping.cancel()
        step.cancel()


async def until_stopped(stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Wait for the signal, or for the first task that ends; a task that ends early fails the service."""
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
            if stop.is_set():
                continue
            raise MedleyError(f"{task.get_name()} ended by itself")
    finally:
        waiting.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
