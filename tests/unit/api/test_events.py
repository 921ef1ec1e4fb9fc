"""A stream of events never promises what it has not sent, and ends in time (protocol section 1.6)."""

import asyncio
from typing import Any, cast

import orjson
import pytest
from nats.aio.client import Client

from medley.contracts.offsets import SNAPSHOT_END, Offset
from medley.contracts.shapes import Announcement, ShapeDefinition, ShapeRecord
from medley.contracts.slices import SLICES
from services.api.settings import ApiSettings
from services.api.shape import events
from services.api.shape.caller import Caller
from services.api.shape.contents import Contents
from services.api.shape.feed import Feed
from services.api.shape.store import Piece
from services.api.shape.tail import Tail

RECORD = ShapeRecord(
    handle="1-1",
    definition=ShapeDefinition(schema_name="public", table="t"),
    state="ready",
    relation_oid=1,
    publication_entry=1,
    columns=(),
    protocol_schema={},
    conditions=None,
    snapshot=(1, 1, ()),
    changes_id="",
)


def piece(tx: int, after: Offset) -> Piece:
    entry = {"key": "k", "headers": {"lsn": str(tx), "op_position": 0}}
    return Piece(tx, after, Offset(tx, 0), True, orjson.dumps([entry]))


class Stream:
    """Following, with a log that the test writes. Nothing of it asks the bus: all is in the tail."""

    def __init__(self, seconds: float) -> None:
        self.feed = Feed(Client(), Client(), ApiSettings())
        self.tail = Tail()
        self.tail.load(None)
        self.left = asyncio.Event()
        following = events.Following(
            self.feed, Contents(self.feed, 1000, 1), RECORD, self.tail, Caller(cast(Any, self._receive))
        )
        self.pieces = following.events(SNAPSHOT_END, seconds)

    async def _receive(self) -> dict[str, str]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> list[str]:
        """The events of the next piece: an LSN for an up-to-date, `+` and it for a change, or `alive`."""
        async with asyncio.timeout(5):
            sent = (await anext(self.pieces)).decode()
        return [_shown(event) for event in sent.split("\n\n") if event]


def _shown(event: str) -> str:
    if event.startswith(":"):
        return "alive"
    headers = orjson.loads(event.removeprefix("data: "))["headers"]
    return str(headers.get("global_last_seen_lsn") or f"+{headers['lsn']}")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_KEEP_ALIVE", 0.01)


async def test_a_position_is_said_only_with_nothing_unsent_below_it() -> None:
    stream = Stream(60)
    assert await stream.next() == ["alive"]
    # Meanwhile, while a slow reader takes the last piece:
    stream.tail.append(piece(200, SNAPSHOT_END))
    stream.feed.positions.hear(Announcement(changes_id="c", epoch=1, slices=tuple(range(SLICES)), lsn=250))
    assert await stream.next() == ["+200", "200"]
    assert await stream.next() == ["alive", "250"]
    assert await stream.next() == ["alive"], "once is enough"


async def test_it_ends_with_the_shape_with_the_bus_and_with_the_caller() -> None:
    for end in ("shape", "bus", "caller"):
        stream = Stream(60)
        assert await stream.next() == ["alive"]
        match end:
            case "shape":
                stream.tail.leave()
            case "bus":
                stream.feed.closing = True
            case _:
                stream.left.set()
        with pytest.raises(StopAsyncIteration):
            for _ in range(3):  # it may be about to say that it is alive
                await stream.next()


async def test_it_ends_in_time_also_under_constant_writes() -> None:
    stream = Stream(0.2)
    after = SNAPSHOT_END
    with pytest.raises(StopAsyncIteration):
        for tx in range(10, 100_000):
            stream.tail.append(piece(tx, after))
            after = Offset(tx, 0)
            assert (await stream.next())[-1] == str(tx)
            await asyncio.sleep(0.001)
