"""Shapes that are asked for: of one table those that come while others are being made are made together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from medley.contracts.shapes import ClauseTable, OpenRequest, Predicate, ShapeRecord
from services.sync.predicates.analysis import Conditions

_TOGETHER = 64
_OF_ONE_TABLE = 4
"""Batches of a table at a time: one that is locked does not take every connection."""


class Asked:
    """One that is asked for, and what its clause is found to be. `made` is its record, once changes are logged."""

    __slots__ = ("conditions", "made", "predicate", "request")

    def __init__(self, request: OpenRequest) -> None:
        self.request = request
        self.made: asyncio.Future[ShapeRecord] = asyncio.get_running_loop().create_future()
        self.conditions: Conditions | None = None
        self.predicate: Predicate | None = None

    @property
    def reads(self) -> tuple[ClauseTable, ...]:
        """The tables that its subqueries read."""
        return self.predicate.tables if self.predicate is not None else ()

    @property
    def alone(self) -> bool:
        """All rows may be many, and a subquery may take long: nobody is to wait behind it."""
        where = self.request.definition.where
        return where is None or "select" in where.lower()

    def succeed(self, record: ShapeRecord) -> None:
        if not self.made.done():
            self.made.set_result(record)

    def fail(self, error: BaseException) -> None:
        if self.made.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.made.cancel()
        else:
            self.made.set_exception(error)


Make = Callable[[Sequence[Asked]], Awaitable[None]]


class Asking:
    """`make` shapes of one table: each that is asked for is made, or fails."""

    def __init__(self, make: Make) -> None:
        self._make = make
        # A name that no table has leaves nothing behind.
        self._queues: dict[tuple[str, str], deque[Asked]] = {}
        self._running: dict[tuple[str, str], set[asyncio.Task[None]]] = {}

    def add(self, asked: Asked) -> None:
        definition = asked.request.definition
        table = (definition.schema_name, definition.table)
        self._queues.setdefault(table, deque()).append(asked)
        if len(self._running.setdefault(table, set())) < _OF_ONE_TABLE:
            self._start(table)

    def close(self) -> None:
        for tasks in self._running.values():
            for task in tasks:
                task.cancel()
        for queue in self._queues.values():
            while queue:
                queue.popleft().made.cancel()

    def _start(self, table: tuple[str, str]) -> None:
        task = asyncio.create_task(self._run(table))
        self._running[table].add(task)
        task.add_done_callback(lambda task: self._ended(table, task))

    async def _run(self, table: tuple[str, str]) -> None:
        queue = self._queues[table]
        while queue:
            batch = _batch(queue)
            try:
                await self._make(batch)
            except BaseException as error:
                for one in batch:
                    one.fail(error)
                if not isinstance(error, Exception):
                    raise

    def _ended(self, table: tuple[str, str], task: asyncio.Task[None]) -> None:
        running = self._running[table]
        running.remove(task)
        if self._queues[table]:  # it came when the last ones had just found nothing more
            self._start(table)
        elif not running:
            del self._running[table], self._queues[table]


def _batch(queue: deque[Asked]) -> list[Asked]:
    """The first ones, as many as are made together."""
    batch = [queue.popleft()]
    while not batch[0].alone and queue and not queue[0].alone and len(batch) < _TOGETHER:
        batch.append(queue.popleft())
    return batch
