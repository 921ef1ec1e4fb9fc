"""The gate: a service waits here until the schema that it was built for has been applied.

The migrator publishes its verdict to the bucket `schema`; the gate reads it, and watches for the next one.
"""

import asyncio
from pathlib import Path
from typing import Literal, NamedTuple, assert_never

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from medley.contracts.schema import SchemaState
from medley.contracts.streams import SCHEMA_BUCKET
from medley.runtime.bus import ensure_bucket
from medley.runtime.errors import ConfigurationError, Unavailable
from medley.runtime.settings import SchemaSettings

log = structlog.get_logger()


class Answer(NamedTuple):
    verdict: Literal["compatible", "behind", "failed"]
    sentence: str


def judge(required: tuple[str, ...], state: SchemaState | None) -> Answer:
    """Pure: is a database in this state fit for a build that ships the `required` migrations?

    Migrations that the database has and this build has never seen do not close the gate.
    """
    if state is None:
        return Answer("behind", "no migrator has reported yet; needed: a run of `medley migrate apply`")
    if state.verdict == "failed":
        return Answer("failed", f"the last migration run failed: {state.reason}; correct it and migrate again")
    missing = [name for name in required if name not in state.applied]
    if missing:
        return Answer(
            "behind",
            f"found schema {state.head or 'empty'}, needed {missing[-1]} ({len(missing)} not applied); "
            "run `medley migrate apply`",
        )
    return Answer("compatible", f"schema {state.head} fits")


def required_migrations(folder: Path) -> tuple[str, ...]:
    """The migrations that this build ships. Raises ConfigurationError when the folder is missing."""
    if not folder.is_dir():
        raise ConfigurationError(f"no folder of migrations at {folder}; set SCHEMA_DIR")
    return tuple(sorted(path.name for path in folder.glob("[0-9]*_*.sql")))


async def wait(js: JetStreamContext, settings: SchemaSettings | None = None) -> SchemaState:
    """Return once the schema is compatible. Raises Unavailable after `SCHEMA_WAIT_SECONDS` (0: never)."""
    settings = settings or SchemaSettings()
    required = required_migrations(settings.dir)
    bucket: KeyValue | None = None
    state: SchemaState | None = None
    deadline = asyncio.get_running_loop().time() + settings.wait_seconds if settings.wait_seconds else None
    said = ""
    while True:
        try:
            if bucket is None:
                bucket = await ensure_bucket(js, SCHEMA_BUCKET)
            entry = await bucket.get("current")
            state = SchemaState.model_validate_json(entry.value or b"")
            answer = judge(required, state)
        except KeyNotFoundError:
            answer = judge(required, None)
        except (NatsError, TimeoutError, OSError) as error:
            bucket = None
            answer = Answer("behind", f"the bus does not answer: {error or type(error).__name__}")
        match answer.verdict:
            case "compatible":
                assert state is not None
                log.info("gate open", head=state.head)
                return state
            case "behind" | "failed":
                if answer.sentence != said:
                    log.warning("gate closed", reason=answer.sentence)
                    said = answer.sentence
            case _:
                assert_never(answer.verdict)
        if deadline is not None and asyncio.get_running_loop().time() > deadline:
            raise Unavailable(f"the schema did not become compatible: {answer.sentence}")
        await asyncio.sleep(0.1)
