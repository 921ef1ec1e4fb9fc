"""Tasks that live and die together: when one fails, the others are cancelled until each has ended.

Not asyncio.TaskGroup, which cancels once and then waits for ever. In Python 3.11 a cancellation that comes in the very
moment in which an `asyncio.wait_for` is answered is lost, and nats-py waits so for every reply: a loop that publishes
goes on as if nobody had said anything. So whoever has not ended is told again.
"""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

from medley.runtime.errors import Transient

_AGAIN = 0.25  # seconds


class Abandoned(Transient):
    """A task ended by a cancellation that nobody asked for: a library gave up what it waited for."""


async def together(**works: Coroutine[Any, Any, None]) -> None:
    """Run all of them, each under its name, until all have returned or one fails; nothing of them is left then.

    Raises an ExceptionGroup of what they raised, as a TaskGroup does.
    """
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        while not any(map(_failed, tasks)) and (running := [task for task in tasks if not task.done()]):
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        failures = [_failure(task) for task in tasks if _failed(task)]
    finally:
        await ended(tasks)
    late = (task.exception() for task in tasks if not task.cancelled())
    failures += [error for error in late if error is not None and error not in failures]
    if failures:
        raise BaseExceptionGroup("what lives together failed", failures)


def told_to_end() -> bool:
    """In a CancelledError: whether the running task was cancelled, and not only something that it waited for, which a
    library may do to us."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _failure(task: asyncio.Task[None]) -> BaseException:
    if task.cancelled():
        return Abandoned(f"{task.get_name()} was cancelled from within")
    error = task.exception()
    assert error is not None
    return error


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel them until all have ended; when we are cancelled meanwhile, that is raised after it."""
    told: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running, timeout=_AGAIN)
        except asyncio.CancelledError as error:
            told = error
    for task in tasks:
        _failed(task)  # an exception that nobody has looked at is complained of
    if told is not None:
        raise told
