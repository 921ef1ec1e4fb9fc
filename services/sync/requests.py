"""Requests about shapes, answered by the sync that leads; FastStream takes them and writes the replies."""

from faststream.nats import NatsBroker

from medley.contracts import subjects
from medley.contracts.shapes import DropReply, DropRequest, OpenReply, OpenRequest
from medley.runtime.settings import NatsSettings
from services.sync.opening import Openings


def broker(settings: NatsSettings, openings: Openings) -> NatsBroker:
    """A broker for one term; started when the term begins, stopped when it ends."""
    made = NatsBroker(settings.servers, name="sync-requests", max_reconnect_attempts=-1, logger=None)

    @made.subscriber(subjects.SYNC_SHAPES_OPEN, max_workers=16)
    async def open_shape(request: OpenRequest) -> OpenReply:
        return await openings.open(request)

    @made.subscriber(subjects.SYNC_SHAPES_DROP)
    async def drop_shape(request: DropRequest) -> DropReply:
        return await openings.drop(request)

    return made
