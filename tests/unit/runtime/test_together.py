"""One that fails ends the others, and nothing is left, though a cancellation gets lost on its way."""

import asyncio

import pytest

from medley.runtime.together import Abandoned, together


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _fails() -> None:
    raise ValueError("mine")


class _Deaf:
    """A loop that hears only the second cancellation."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        while True:
            try:
                await _for_ever()
            except asyncio.CancelledError:
                if self.lost.is_set():
                    self.ended = True
                    raise
                self.lost.set()


async def test_all_that_return_are_waited_for() -> None:
    done = []

    async def work(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        done.append(turns)

    await together(long=work(9), short=work(1))
    assert done == [1, 9]


async def test_the_first_failure_is_told_first_and_what_falls_with_it_after_it() -> None:
    async def falls() -> None:
        try:
            await _for_ever()
        finally:
            raise KeyError("too")

    with pytest.raises(ExceptionGroup) as raised:
        await together(falls=falls(), fails=_fails(), quiet=_for_ever())
    assert [type(error) for error in raised.value.exceptions] == [ValueError, KeyError]


async def test_one_that_lost_its_cancellation_is_told_again() -> None:
    deaf = _Deaf()
    with pytest.raises(ExceptionGroup):
        await together(deaf=deaf.run(), fails=_fails())
    assert deaf.ended


async def test_an_answer_that_comes_with_the_cancellation() -> None:
    """So it is in a client that waits for a reply with `asyncio.wait_for`, until Python 3.12."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def asks() -> None:
        while True:
            answer = loop.create_future()
            asked.put_nowait(answer)
            await asyncio.wait_for(answer, 600)

    async def fails() -> None:
        loop.call_soon((await asked.get()).set_result, None)
        raise ValueError("mine")

    with pytest.raises(ExceptionGroup):
        await together(asks=asks(), fails=fails())


async def test_one_that_is_cancelled_from_within_has_failed() -> None:
    async def given_up() -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer.cancel()
        await answer

    with pytest.raises(ExceptionGroup) as raised:
        await together(given_up=given_up(), other=_for_ever())
    [error] = raised.value.exceptions
    assert isinstance(error, Abandoned) and "given_up" in str(error)


@pytest.mark.parametrize("failing", [False, True])
async def test_whoever_is_cancelled_takes_all_with_it(failing: bool) -> None:
    deaf = _Deaf()
    running = asyncio.create_task(together(deaf=deaf.run(), other=_fails() if failing else _for_ever()))
    await (deaf.lost.wait() if failing else asyncio.sleep(0))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert deaf.ended
