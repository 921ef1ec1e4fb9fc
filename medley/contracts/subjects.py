"""Every NATS subject, and how names of tables become subject tokens."""

from urllib.parse import quote, unquote

INGEST_JOBS = "ingest.jobs"
INGEST_PRIORITIES = ("high", "normal", "low")
INGEST_ANY = f"{INGEST_JOBS}.*"
INGEST_DEAD = "ingest.dead"

CHANGES_ANY = "changes.>"

SHAPE_LOG_ANY = "shapes.*.log"
SHAPE_ANY = "shapes.>"
SHAPE_POSITIONS = "shapes.position.*"

SYNC_SHAPES_OPEN = "sync.shapes.open"
SYNC_SHAPES_DROP = "sync.shapes.drop"
SYNC_HEARTBEAT = "sync.heartbeat"
SYNC_HELLO = "sync.hello"
SYNC_MARK = "sync.mark"
SYNC_READ = "sync.read"


def ingest_jobs(priority: str = "normal") -> str:
    """The subject that a job of this priority (`high`, `normal` or `low`) is published to."""
    if priority not in INGEST_PRIORITIES:
        raise ValueError(f"unknown priority {priority!r}: use one of {', '.join(INGEST_PRIORITIES)}")
    return f"{INGEST_JOBS}.{priority}"


def token(name: str) -> str:
    """`name` as one subject token: what NATS gives a meaning (space, `.`, `*`, `>`) is percent-encoded."""
    return quote(name, safe="").replace(".", "%2E")


def changes(schema: str, table: str) -> str:
    """The topic of one table's changes, for example `changes.public.songs`."""
    return f"changes.{token(schema)}.{token(table)}"


def table_of(subject: str) -> tuple[str, str]:
    """The (schema, table) of a changes subject."""
    _, schema, table = subject.split(".")
    return unquote(schema), unquote(table)


def shape_snapshot(handle: str) -> str:
    return f"shapes.{handle}.snapshot"


def shape_log(handle: str) -> str:
    return f"shapes.{handle}.log"


def shape_position(number: int) -> str:
    """Where the worker whose lowest slice has this number says how far its shapes' logs have come."""
    return f"shapes.position.{number}"


def sync_worker(worker: str, request: str) -> str:
    """A request (`open`, `drop`) to one worker of sync."""
    return f"sync.workers.{worker}.{request}"
