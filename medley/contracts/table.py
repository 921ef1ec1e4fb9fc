"""THE TABLE: who says what to whom. `python -m medley.contracts` prints it; `schema/contracts.json` pins it."""

import json
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from medley.contracts import jobs, schema, shapes, subjects
from medley.contracts.streams import BUCKETS, STREAMS

MESSAGES: dict[str, tuple[str, type[BaseModel], str, str]] = {
    # subject: (kind, message, who sends it, who receives it)
    subjects.INGEST_ANY: ("request", jobs.IngestJob, "api, cli, anyone", "ingest"),
    subjects.SYNC_SHAPES_OPEN: ("request", shapes.OpenRequest, "api", "sync"),
    subjects.SYNC_SHAPES_DROP: ("request", shapes.DropRequest, "api", "sync"),
    subjects.SYNC_HEARTBEAT: ("event", shapes.Heartbeat, "sync", "api, sync"),
    subjects.SYNC_READ: ("event", shapes.HandlesRead, "api", "sync"),
    subjects.SYNC_MARK: ("event", shapes.CaptureMark, "sync", "sync"),
    subjects.SHAPE_POSITIONS: ("event", shapes.Announcement, "sync", "api"),
}
VALUES: dict[str, type[BaseModel]] = {
    "schema.current": schema.SchemaState,
    "shapes.<handle>": shapes.ShapeRecord,
}


def contracts() -> dict[str, Any]:
    """Everything on the wire, as JSON-ready values."""
    return {
        "streams": {stream.name: asdict(stream) for stream in STREAMS},
        "buckets": {bucket.name: asdict(bucket) for bucket in BUCKETS},
        "messages": {
            subject: {"kind": kind, "from": sender, "to": receiver, "schema": model.model_json_schema()}
            for subject, (kind, model, sender, receiver) in MESSAGES.items()
        },
        "values": {name: model.model_json_schema() for name, model in VALUES.items()},
    }


def as_json() -> str:
    return json.dumps(contracts(), indent=1, sort_keys=True) + "\n"


def as_text() -> str:
    """The table for people."""
    rows = [("NAME", "SUBJECTS OR KEYS", "KIND", "WRITTEN BY", "READ BY")]
    rows += [
        (s.name, ", ".join(s.subjects), s.retention, ", ".join(s.publishers), ", ".join(s.consumers)) for s in STREAMS
    ]
    rows += [(f"KV {b.name}", b.keys, "bucket", ", ".join(b.publishers), ", ".join(b.consumers)) for b in BUCKETS]
    rows += [(model.__name__, subject, kind, a, b) for subject, (kind, model, a, b) in MESSAGES.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in rows)
