"""The lines about many shapes: how fast a change finds those that it concerns, and what a shape takes of memory.

They run in this process; a rate is of CPU time, and the best of many rounds, so that a noisy minute changes little.
Rows come out of JSON, a message at a time, as fan-out has them.
"""

import gc
import random
import statistics
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

import orjson
import psutil
from nats.aio.client import Client

from medley.contracts.shapes import ShapeRecord
from services.sync.announcements import Announced, Announcements
from services.sync.conditions import Condition, Equal, Prefix, Range
from services.sync.fanout import Fanout
from services.sync.live import LiveShape
from services.sync.registry import Registry
from services.sync.router import Router
from services.sync.slices import Slices
from services.sync.where import Where, compile_conditions
from tests.bench.many import listened

_CHANGES = 1_000
_ROUNDS = 240
_CHANCE = random.Random(1)  # noqa: S311


class Routed:
    __slots__ = ("where",)

    def __init__(self, where: Where) -> None:
        self.where = where


def _uuid() -> str:
    return str(uuid.UUID(int=_CHANCE.getrandbits(128)))


def _rows(values: Iterator[str], column: str) -> list[dict[str, str]]:
    made = [
        {column: value, "song_id": _uuid(), "position": str(n)}
        for n, value in zip(range(_CHANGES), values, strict=False)
    ]
    rows: list[dict[str, str]] = orjson.loads(orjson.dumps(made))
    return rows


def _routed(conditions: Iterator[Condition], count: int) -> Router[Routed]:
    router: Router[Routed] = Router()
    for condition in islice(conditions, count):
        router.add(1, Routed(compile_conditions([condition])))
    return router


def _rate(router: Router[Routed], rows: list[dict[str, str]]) -> float:
    started = time.process_time()
    for row in rows:
        router.concerned(1, row)
    return len(rows) / (time.process_time() - started)


def equalities(count: int) -> dict[str, float]:
    """One change in a hundred concerns a shape."""
    known = [_uuid() for _ in range(count)]
    router = _routed((Equal("playlist_id", "uuid", one) for one in known), count)
    best = 0.0
    for _ in range(_ROUNDS):
        values = (known[_CHANCE.randrange(count)] if _CHANCE.random() < 0.01 else _uuid() for _ in iter(int, 1))
        best = max(best, _rate(router, _rows(values, "playlist_id")))
    return {"changes/s": best}


def _many(conditions: Iterator[Condition], values: Iterator[str], count: int) -> dict[str, float]:
    started = time.process_time()
    router = _routed(conditions, count)
    opened = count / (time.process_time() - started)
    rates = [_rate(router, _rows(values, "value")) for _ in range(_ROUNDS)]
    found = [len(router.concerned(1, row)) for row in _rows(values, "value")]
    return {"changes/s": max(rates), "shapes found": statistics.mean(found), "openings/s": opened}


def ranges(count: int) -> dict[str, float]:
    """`value >= a AND value < b`, which overlap: a change is in one or two."""
    starts = iter(range(0, 10 * count, 10))
    conditions = (Range("value", "int4", False, (str(n), True), (str(n + 15), False)) for n in starts)
    return _many(conditions, (str(_CHANCE.randrange(10 * count)) for _ in iter(int, 1)), count)


def prefixes(count: int) -> dict[str, float]:
    """`value LIKE 'prefix%'`, of three lengths."""
    starts = (f"{number:05}/{'abc'[: number % 3]}" for number in range(count))
    conditions = (Prefix("value", text) for text in starts)
    return _many(conditions, (f"{_CHANCE.randrange(count):05}/{_uuid()}" for _ in iter(int, 1)), count)


def memory(count: int) -> dict[str, float]:
    """In a process of its own, where no memory lies free that others have left."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_taken_up, count).result()


def _taken_up(count: int) -> dict[str, float]:
    """Shapes as a sync takes them up from its registry: all that they add to the process."""
    texts = [record.model_dump_json() for record in listened(count)]
    client = Client()
    js = client.jetstream()
    registry = Registry(js, None, None)  # type: ignore[arg-type]
    slices = Slices(None, "bench", 1, {0: (0, None)})  # type: ignore[arg-type]
    fanout = Fanout(client, registry, Announcements(js, slices, "bench", Announced({}), 0), "bench")
    gc.collect()
    before = psutil.Process().memory_info().rss
    by_digest = {}
    for record in map(ShapeRecord.model_validate_json, texts):
        shape = LiveShape(fanout.js, record)
        fanout.add(shape)
        by_digest[record.definition.digest()] = record.handle
    gc.collect()
    return {"bytes a shape": (psutil.Process().memory_info().rss - before) / len(by_digest)}
