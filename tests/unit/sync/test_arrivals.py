"""Messages come by the stream and, earlier, from capture: each is taken once, in order, and none counts as stored
before it is."""

import asyncio

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.sync import arrivals as module
from services.sync.arrivals import Arrivals, Withdrawn
from services.sync.handover import Arrived, Handover
from services.sync.progress import Mark

HEAD = b'{"schema":"public","table":"t","oid":1,"columns":[["id",23,-1]],"lsn":"%d"'


def body(sequence: int) -> bytes:
    return HEAD % sequence + b',"xid":1,"commit_time":"","changes":[]}'


def given(sequence: int) -> Arrived:
    return Arrived(sequence, body(sequence), last=True, at=0.0)


def streamed(sequence: int) -> Msg:
    reply = f"$JS.ACK.CHANGES.c.1.{sequence}.{sequence}.1700000000000000000.0"
    return Msg(_client=Client(), subject="changes.public.t", reply=reply, data=body(sequence))


def taken(arrivals: Arrivals) -> list[int]:
    arrivals.take()
    found = [incoming.sequence for incoming in arrivals.taken]
    arrivals.taken.clear()
    return found


async def test_what_is_given_is_taken_before_the_stream_brings_it_and_once() -> None:
    arrivals = Arrivals()
    arrivals.begin(10)
    for sequence in (11, 12):
        arrivals.given(given(sequence))
    assert taken(arrivals) == [11, 12]
    for sequence in (11, 12, 13):
        await arrivals.receive(streamed(sequence))
    assert taken(arrivals) == [13]


async def test_who_is_behind_catches_up_from_the_stream_first() -> None:
    arrivals = Arrivals()
    arrivals.begin(10)
    arrivals.given(given(13))
    arrivals.given(given(14))
    assert taken(arrivals) == []
    await arrivals.receive(streamed(11))
    assert taken(arrivals) == [11]
    await arrivals.receive(streamed(12))
    assert taken(arrivals) == [12, 13, 14]


async def test_what_stays_aside_for_long_is_left_to_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals()
    arrivals.begin(0)
    for sequence in range(2, 2 + module._EARLY + 1):
        arrivals.given(given(sequence))
    await arrivals.receive(streamed(1))
    assert taken(arrivals) == [1]
    await arrivals.receive(streamed(2))
    assert taken(arrivals) == list(range(2, 3 + module._EARLY))
    monkeypatch.setattr(module, "_MOST_BYTES", -1)  # as when too much waits
    arrivals.given(given(3 + module._EARLY))
    assert taken(arrivals) == []


async def test_only_what_the_stream_has_is_safe() -> None:
    arrivals = Arrivals()
    arrivals.begin(10)
    for sequence in (11, 12):
        arrivals.given(given(sequence))
    assert arrivals.safe == 10
    arrivals.stored(11)
    assert arrivals.safe == 11
    await arrivals.receive(streamed(11))
    await arrivals.receive(streamed(12))  # perhaps another capture's, cut otherwise
    assert arrivals.safe == 11
    arrivals.stored(12)
    await arrivals.receive(streamed(13))
    assert arrivals.safe == 13


async def test_what_is_acked_while_it_is_aside_is_safe_once_it_is_taken() -> None:
    arrivals = Arrivals()
    arrivals.begin(10)
    arrivals.given(given(12))
    arrivals.stored(12)
    assert arrivals.safe == 10
    await arrivals.receive(streamed(11))
    assert arrivals.safe == 12


async def test_what_is_withdrawn_after_it_was_taken_ends_the_term() -> None:
    arrivals = Arrivals()
    arrivals.begin(10)
    lost = asyncio.ensure_future(arrivals.lost())
    arrivals.given(given(11))
    arrivals.stored(11)
    arrivals.given(given(13))  # aside
    arrivals.withdrawn()
    await asyncio.sleep(0)
    assert not lost.done()
    arrivals.given(given(12))
    assert taken(arrivals) == [11, 12]  # and not 13, which was withdrawn
    arrivals.withdrawn()
    with pytest.raises(Withdrawn):
        await lost


def test_only_the_stream_that_capture_writes_is_given() -> None:
    handover, arrivals = Handover(), Arrivals()
    assert handover.taker("c") is None
    with handover.taken_by("c", arrivals):
        assert handover.taker("c") is arrivals
        assert handover.taker("another") is None
    assert handover.taker("c") is None


async def _fed(arrivals: Arrivals) -> int:
    """Given messages whose copies come later, until the stream is not needed; the newest one's sequence."""
    sequence = arrivals.newest
    while not arrivals.fed:
        sequence += 1
        arrivals.given(given(sequence))
        await arrivals.receive(streamed(sequence))
        assert sequence <= 2 * module._SURE
    return sequence


async def test_the_stream_is_not_needed_while_everything_is_given() -> None:
    arrivals = Arrivals()
    await arrivals.receive(streamed(1))
    assert not arrivals.fed
    newest = await _fed(arrivals)
    assert taken(arrivals) == list(range(1, newest + 1))
    arrivals.given(given(newest + 1))
    arrivals.marked(Mark(newest + 1, 900))
    assert arrivals.fed


@pytest.mark.parametrize("what", ["capture ended", "one is missing", "another one captures"])
async def test_the_stream_is_needed_once_something_is_lacking(what: str) -> None:
    arrivals = Arrivals()
    newest = await _fed(arrivals)
    lacking = asyncio.ensure_future(arrivals.lacking())
    await asyncio.sleep(0)
    assert not lacking.done()
    match what:
        case "capture ended":
            arrivals.withdrawn()
        case "one is missing":
            arrivals.given(given(newest + 2))
        case _:
            arrivals.marked(Mark(newest + 1, 900))
    await lacking
    assert not arrivals.fed
