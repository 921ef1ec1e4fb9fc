"""Clients over HTTP: steady, slow, such that stop and go on, such that begin anew. Each checks what it is sent."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import httpx

from medley.client import follow
from medley.client.http import Message
from medley.runtime.together import ended
from tests.chaos.plan import Manner
from tests.chaos.shapes import SHAPES, Followed, mark_of
from tests.oracle.copies import StrictCopy

_BREATH = 0.05  # seconds between requests: many clients are one process here
_UNBALANCED = "torn: balances"
_KEPT = 4000  # messages, to look at after a difference


class Refetch(NamedTuple):
    handle: str
    at: float


class CheckedCopy(StrictCopy):
    """Also that each update of an account is the next one, and that balances of whole transactions are zero."""

    def __init__(self, shape: Followed) -> None:
        super().__init__(shape.key, shape.replica == "full")
        self._sums = shape.sums

    def _update(self, message: Message, old: dict[str, str | None]) -> None:
        super()._update(message, old)
        before, now = old.get("turn"), message["value"].get("turn")
        written = self._sums and old.get("mark") is None and before is not None and now is not None
        if written and int(now or 0) != int(before or 0) + 1:
            self._fault(message, f"is turn {now} after {before}")

    def found(self) -> list[str]:
        """Every fault up to now."""
        return [*self._copy.faults, *self.faults]

    def whole(self) -> None:
        """The client was told that this is a state of the database."""
        if self.inside:
            self.faults.append("torn: up to date within a transaction")
        if self._sums and (total := sum(int(row["balance"] or 0) for row in self.rows)):
            self.faults.append(f"{_UNBALANCED} are {total} together")


class Client:
    """Follows one shape until it is closed. `mark`: the newest marker that its copy has; `settled`: all of what it was
    sent is up to date. `faults` are kept when the copy begins anew; `unbalanced` are handles that ended, and how."""

    def __init__(self, number: int, manner: Manner, api: str, http: httpx.AsyncClient, seed: int) -> None:
        self.number, self.shape, self.manner = number, SHAPES[number], manner
        self._api, self._http = api, http
        self._chance = random.Random(f"{seed}-{number}")  # noqa: S311
        self._place: dict[str, str] = {}
        self._calm = asyncio.Event()
        self._stopped = asyncio.Event()
        self.refetches: list[Refetch] = []
        self.entries = 0
        self.seen: deque[Message] = deque(maxlen=_KEPT)
        self.faults: list[str] = []
        self.unbalanced: list[tuple[str, str]] = []
        self.copy = CheckedCopy(self.shape)
        self.mark, self.settled = 0, False
        self._task = asyncio.create_task(self._run())

    def _begin(self, ended: str = "") -> None:
        for fault in self.copy.found():
            if ended and fault.startswith(_UNBALANCED):
                self.unbalanced.append((ended, fault))
            else:
                self.faults.append(fault)
        self.copy = CheckedCopy(self.shape)
        self.mark, self.settled = 0, False

    @property
    def handle(self) -> str:
        return self._place.get("handle", "")

    def stop(self) -> None:
        """Whatever it is doing; it goes on from where it is."""
        self._stopped.set()

    def calm(self) -> None:
        """From now on it is steady."""
        self._calm.set()
        self._stopped.set()

    async def close(self) -> None:
        await ended([self._task])

    def failure(self) -> str | None:
        """Why it follows no more."""
        if not self._task.done() or self._task.cancelled():
            return None
        return repr(self._task.exception())

    def all_faults(self) -> list[str]:
        return [*self.faults, *self.copy.settled()]

    def rows(self) -> list[dict[str, str | None]]:
        return self.copy.rows

    async def _run(self) -> None:
        while True:
            following, leaving = asyncio.create_task(self._follow()), asyncio.create_task(self._leave())
            try:
                await asyncio.wait({following, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    return following.result()
            finally:
                await ended([following, leaving])
            await asyncio.sleep(0 if self._calm.is_set() else self._chance.uniform(0.05, 1))
            if self.manner == "anew" and not self._calm.is_set():
                self._place.clear()
                self._begin()

    async def _leave(self) -> None:
        """Until it is time to stop."""
        restless = self.manner in ("stopping", "anew") and not self._calm.is_set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._chance.uniform(0.3, 2) if restless else None):
                await self._stopped.wait()
        self._stopped.clear()

    async def _follow(self) -> None:
        columns: Sequence[str] | None = self.shape.columns
        answers = follow(
            self._api,
            self.shape.table,
            where=self.shape.where,
            columns=columns,
            replica=self.shape.replica,
            client=self._http,
            place=self._place,
        )
        handle = self._place.get("handle", "")
        async for messages in answers:
            self._take(messages, handle)
            handle = self._place.get("handle", "")
            await asyncio.sleep(self._chance.uniform(0.2, 1) if self._is_slow() else _BREATH)

    def _is_slow(self) -> bool:
        return self.manner == "slow" and not self._calm.is_set()

    def _take(self, messages: list[Message], handle: str) -> None:
        self.seen.extend(messages)
        for message in messages:
            marks: dict[str, Any] = message["headers"]
            if marks.get("control") == "must-refetch":
                self._begin(handle)
                self.refetches.append(Refetch(handle, time.monotonic()))
            elif marks.get("control") == "up-to-date":
                self.copy.whole()
                self.settled = True
            elif "lsn" in marks:
                self.copy.log([message])
            elif "operation" in marks:
                self.copy.snapshot([message])
            if "operation" in marks:
                self.entries += 1
                self.settled = False
                self.mark = max(self.mark, mark_of(message))
