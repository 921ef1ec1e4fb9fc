"""Where shapes are asked for: sync may be killed while it is asked, and is asked again when it is back."""

import asyncio
import itertools
import time
from pathlib import Path

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from medley.contracts import streams, subjects
from medley.contracts.shapes import DropRequest, OpenReply, OpenRequest, ShapeDefinition, ShapeRecord
from medley.runtime import buckets
from tests.support.shapes import OpenShape, Refusal, Shapes

_PATIENCE = 120.0
_ANSWER_SECONDS = 5.0


class Desk:
    """`excused`: shapes whose snapshots were not whole when sync was killed, which is their end."""

    def __init__(self, shapes: Shapes, log: Path) -> None:
        self._shapes = shapes
        self._log = log
        self.excused: set[str] = set()

    async def open(self, definition: ShapeDefinition) -> OpenShape:
        """Raises Refusal."""
        request = OpenRequest(definition=definition).model_dump_json().encode()
        deadline = time.monotonic() + _PATIENCE
        for tries in itertools.count():
            try:
                answer = await self._shapes.client.request(subjects.SYNC_SHAPES_OPEN, request, timeout=_ANSWER_SECONDS)
            except (NoRespondersError, NatsTimeout) as error:
                why = repr(error)
            else:
                reply = OpenReply.model_validate_json(answer.data)
                if reply.record is not None:
                    return OpenShape(self._shapes, reply.record)
                if reply.unavailable is None:
                    raise Refusal(reply.errors)
                why = reply.unavailable
            assert time.monotonic() < deadline, f"sync does not open {definition}: {why}"
            await asyncio.sleep(min(0.02 * 2**tries, 0.5))
        raise AssertionError

    async def is_open(self, handle: str) -> bool:
        return await self._shapes.is_open(handle)

    async def excuse(self) -> None:
        """Sync was killed: what it was in the middle of will not go on."""
        for handle, text in (await buckets.entries(self._shapes.js, streams.SHAPES_BUCKET)).items():
            if ShapeRecord.model_validate_json(text).state != "ready":
                self.excused.add(handle)

    def told(self, handle: str) -> str:
        """What sync's log says of the shape."""
        lines = self._log.read_text().splitlines()
        return " / ".join(line for line in lines if handle in line)

    async def drop(self, handle: str) -> None:
        """It need not succeed: a shape whose table is dropped ends by that."""
        request = DropRequest(handle=handle).model_dump_json().encode()
        await self._shapes.client.publish(subjects.SYNC_SHAPES_DROP, request)
