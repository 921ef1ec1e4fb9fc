"""Terms are repeated, whatever ends one: also a cancellation that nobody asked for. One that is asked for ends all."""

import asyncio

import pytest

from medley.runtime.errors import Transient
from services.sync.terms import repeat


@pytest.mark.parametrize("error", [asyncio.CancelledError(), Transient("lost"), OSError("gone"), TimeoutError()])
async def test_whatever_ends_a_term_another_one_begins(error: BaseException) -> None:
    stop, begun = asyncio.Event(), 0

    async def term() -> None:
        nonlocal begun
        begun += 1
        if begun == 2:
            stop.set()
            return
        raise error

    await repeat("work", term, stop)
    assert begun == 2


async def test_a_cancellation_ends_it() -> None:
    inside = asyncio.Event()

    async def term() -> None:
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(repeat("work", term, asyncio.Event()))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_no_repeat_can_mend_is_raised() -> None:
    async def term() -> None:
        raise ExceptionGroup("together", [Transient("lost"), KeyError("a fault of ours")])

    with pytest.raises(KeyError):
        await repeat("work", term, asyncio.Event())
