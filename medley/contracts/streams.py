"""Streams and buckets, as values: what `medley.runtime.bus` creates on JetStream."""

from dataclasses import dataclass, field
from typing import Literal

from medley.contracts import subjects

GIB = 1024**3
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Stream:
    """One JetStream stream. `max_age` in seconds and `max_bytes`: 0 means no limit."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"] = "limits"
    max_age: float = 0
    max_bytes: int = 0
    duplicate_window: float = 120
    publishers: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    """One JetStream key-value bucket."""

    name: str
    keys: str
    history: int = 1
    publishers: tuple[str, ...] = field(default=())
    consumers: tuple[str, ...] = field(default=())


INGEST = Stream(
    "INGEST",
    (subjects.INGEST_ANY,),
    retention="workqueue",
    publishers=("api", "cli", "anyone"),
    consumers=("ingest",),
)
INGEST_DEAD = Stream(
    "INGEST_DEAD", (subjects.INGEST_DEAD,), max_age=30 * DAY, publishers=("ingest",), consumers=("people",)
)
CHANGES = Stream(
    "CHANGES",
    (subjects.CHANGES_ANY,),
    max_age=7 * DAY,
    max_bytes=8 * GIB,
    publishers=("sync",),
    consumers=("sync", "anyone"),
)
SHAPES = Stream(
    "SHAPES",
    (subjects.SHAPE_ANY,),
    publishers=("sync",),
    consumers=("api", "anyone"),
)
STREAMS = (INGEST, INGEST_DEAD, CHANGES, SHAPES)

SCHEMA_BUCKET = Bucket("schema", "current", history=16, publishers=("migrator",), consumers=("every gate",))
SHAPES_BUCKET = Bucket("shapes", "<handle>", publishers=("sync",), consumers=("api", "sync"))
SYNC_BUCKET = Bucket("sync", "slice.<number>, database, era", publishers=("sync",), consumers=("sync",))
BUCKETS = (SCHEMA_BUCKET, SHAPES_BUCKET, SYNC_BUCKET)
