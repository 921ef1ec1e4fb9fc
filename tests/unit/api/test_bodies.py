"""Bodies are shared within a bound of bytes."""

import asyncio

from services.api.shape.bodies import Bodies, Builds


def test_the_oldest_goes_when_the_bound_is_reached() -> None:
    bodies: Bodies[str] = Bodies(6400)
    for number in range(100):
        bodies.keep(f"body {number}", 100, "handle", number)
        bodies.get("handle", 0)
    assert bodies.size == 6400
    assert bodies.get("handle", 0) == "body 0", "used all the time"
    assert bodies.get("handle", 1) is None
    assert bodies.get("handle", 99) == "body 99"


def test_what_would_push_out_everything_is_not_kept() -> None:
    bodies: Bodies[str] = Bodies(6400)
    bodies.keep("large", 1601, "x")
    assert (bodies.get("x"), bodies.size) == (None, 0)


async def test_what_many_ask_for_at_once_is_built_once() -> None:
    builds, made = Builds(), 0
    go_on = asyncio.Event()

    async def make() -> int:
        nonlocal made
        made += 1
        await go_on.wait()
        return made

    waiting = [asyncio.create_task(builds.once(make, "a")) for _ in range(100)]
    other = asyncio.create_task(builds.once(make, "b"))
    await asyncio.sleep(0)
    waiting[0].cancel()  # who leaves takes nothing from the others
    go_on.set()
    assert set(await asyncio.gather(*waiting[1:])) == {1}
    assert (await other, made) == (2, 2)
    assert await builds.once(make, "a") == 3, "what is asked for later is built anew"


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    builds = Builds()

    async def fail() -> int:
        raise ValueError

    failed = await asyncio.gather(*(builds.once(fail, "a") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in failed] == [ValueError] * 3

    async def succeed() -> int:
        return 1

    assert await builds.once(succeed, "a") == 1
