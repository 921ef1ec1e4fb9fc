"""Open the shapes of a scenario and wait for their snapshots, however often sync is killed meanwhile."""

import asyncio

from medley.contracts.shapes import ShapeDefinition
from tests.oracle.copies import StrictCopy
from tests.oracle.desk import Desk
from tests.oracle.followed import Followed
from tests.oracle.reader import Reader
from tests.support.shapes import OpenShape, Refusal

_AT_ONCE = 4


class Openings:
    def __init__(self, desk: Desk, reader: Reader, schema: str) -> None:
        self._desk, self._reader, self._schema = desk, reader, schema

    async def open(self, some: list[Followed]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(followed: Followed) -> None:
            async with gate:
                await self.open_one(followed)

        async with asyncio.TaskGroup() as group:
            for followed in some:
                group.create_task(one(followed))

    async def open_one(self, one: Followed) -> None:
        """A shape that ended before its snapshot was whole is asked for again."""
        one.opened, one.refused, one.seen, one.fresh = True, None, 0, True
        definition = ShapeDefinition(
            schema_name=one.table.schema_in(self._schema),
            table=one.table.name,
            where=one.clause,
            params=one.params,
            columns=one.shape.columns,
            replica=one.shape.replica,
        )
        while True:
            try:
                one.open = await self._desk.open(definition)
            except Refusal as refusal:
                one.open, one.copy, one.refused = None, None, str(refusal)
                return
            one.copy = StrictCopy(one.table.key, one.shape.replica == "full")
            if await self._whole(one.open):
                one.copy.snapshot(self._reader.of(one.open.handle).snapshot)
                return
            self._reader.forget(one.open.handle)

    async def _whole(self, open_: OpenShape) -> bool:
        """False when the shape ended before its snapshot was whole."""
        whole = self._reader.of(open_.handle).whole
        while not whole.is_set():
            try:
                await asyncio.wait_for(whole.wait(), 0.3)
            except TimeoutError:
                if not await self._desk.is_open(open_.handle) and not whole.is_set():
                    return False
        return True

    async def forget(self, handle: str) -> None:
        self._reader.forget(handle)
        await self._desk.drop(handle)
