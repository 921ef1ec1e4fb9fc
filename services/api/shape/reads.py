"""Which handles are read, so that sync knows what nobody needs any more."""

import asyncio
from itertools import islice

from nats.aio.client import Client

from medley.contracts import subjects
from medley.contracts.shapes import HandlesRead, ShapeRecord

_TELL = 2.0
_AT_ONCE = 1000


class Reads:
    def __init__(self) -> None:
        self._handles: set[str] = set()
        self._snapshots: set[str] = set()

    def of(self, record: ShapeRecord) -> None:
        self._handles.add(record.handle)

    def of_snapshot(self, record: ShapeRecord) -> None:
        self._snapshots.add(record.handle)

    def taken(self) -> list[HandlesRead]:
        """What was read since it was taken last, in messages of some size."""
        handles, snapshots = iter(self._handles), iter(self._snapshots)
        most = max(len(self._handles), len(self._snapshots))
        self._handles, self._snapshots = set(), set()
        return [
            HandlesRead(handles=tuple(islice(handles, _AT_ONCE)), snapshots=tuple(islice(snapshots, _AT_ONCE)))
            for _ in range(0, most, _AT_ONCE)
        ]

    async def tell(self, client: Client) -> None:
        """Ends only by raising."""
        while True:
            await asyncio.sleep(_TELL)
            for said in self.taken():
                await client.publish(subjects.SYNC_READ, said.model_dump_json().encode())
