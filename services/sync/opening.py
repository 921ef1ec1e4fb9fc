"""Requests for shapes: one that is there is found, one that is not is made (`making`), once for all who ask for it."""

import asyncio
import time

import structlog

from medley.contracts.shapes import DropReply, DropRequest, OpenReply, OpenRequest, ShapeDefinition, ShapeRecord
from medley.contracts.slices import slice_of
from services.sync.fanout import Fanout
from services.sync.making import Making
from services.sync.reads import Reads
from services.sync.slices import Slices
from services.sync.table import Refused

log = structlog.get_logger()


class Openings:
    """Opens shapes for one fan-out; requests for one definition share one opening."""

    def __init__(self, fanout: Fanout, slices: Slices, making: Making, reads: Reads) -> None:
        self._fanout = fanout
        self._slices = slices
        self._making = making
        self._reads = reads
        self._by_digest = {shape.record.definition.digest(): handle for handle, shape in fanout.shapes.items()}
        self._under_way: dict[ShapeDefinition, asyncio.Future[ShapeRecord]] = {}

    def has(self, number: int) -> bool:
        """Whether shapes of this slice are opened here."""
        return number in self._slices.numbers

    async def open(self, request: OpenRequest) -> OpenReply:
        """The shape's record, once its changes are being logged; its rows may still be on their way."""
        definition = request.definition
        digest = definition.digest()
        if not self.has(slice_of(digest)):
            return OpenReply(unavailable="the shape belongs to another worker of sync")
        shape = self._fanout.shapes.get(self._by_digest.get(digest, ""))
        if shape is None:
            self._by_digest.pop(digest, None)
        elif shape.record.definition == definition:
            self._reads.asked_for(shape.record.handle, time.monotonic())
            return OpenReply(record=self._fanout.served(shape))
        if (errors := self._fanout.refusals.of(definition)) is not None:
            return OpenReply(errors=errors)
        made = self._made(request, digest)
        try:
            return OpenReply(record=await asyncio.shield(made))
        except asyncio.CancelledError:
            if not made.cancelled():
                raise
            return OpenReply(unavailable="the term of this worker of sync ended; try again")
        except Refused as refusal:
            return OpenReply(errors=refusal.errors)
        except Exception as error:
            log.warning("shape not opened", table=definition.table, error=repr(error))
            return OpenReply(unavailable=str(error) or type(error).__name__)

    async def drop(self, request: DropRequest) -> DropReply:
        shape = self._fanout.shape(request.handle)
        if shape is None:
            return DropReply(dropped=False)
        await self._fanout.drop(shape, "asked for")
        return DropReply(dropped=True)

    def close(self) -> None:
        self._making.close()

    def _made(self, request: OpenRequest, digest: str) -> asyncio.Future[ShapeRecord]:
        definition = request.definition
        made = self._under_way.get(definition)
        if made is not None:
            return made

        def ended(made: asyncio.Future[ShapeRecord]) -> None:
            del self._under_way[definition]
            if not made.cancelled() and made.exception() is None:
                self._by_digest[digest] = made.result().handle
                self._reads.asked_for(made.result().handle, time.monotonic())

        made = self._under_way[definition] = self._making.ask(request)
        made.add_done_callback(ended)
        return made
