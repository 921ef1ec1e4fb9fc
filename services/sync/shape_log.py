"""The log of one shape: what waits to be appended, and the append that cannot double or tear.

Entries are appended in the order of their offsets. A message without `Medley-Last: true` is not the end of a
transaction, and readers do not look past the last message that is: so a transaction is seen whole or not at all,
also when it is larger than one message.
"""

import asyncio
from collections.abc import Iterator

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from medley.contracts import headers, streams, subjects
from medley.contracts.offsets import SNAPSHOT_END, Offset
from services.sync.entries import Entry, marked_last

_MESSAGE_BYTES = 512 * 1024
_ACK_SECONDS = 10
_HEADERS_ROOM = 4096


class Pending:
    """Entries that are not appended yet. Pure."""

    __slots__ = ("_ended", "_entries", "_open", "last", "size")

    def __init__(self, after: Offset = SNAPSHOT_END) -> None:
        self.last = after
        """The newest offset that was taken in; anything at or before it is a repeat."""
        self._entries: list[Entry] = []
        self._open = False
        self._ended = 0
        """How many of them, from the first, are of transactions that have ended."""
        self.size = 0

    def add(self, entries: list[Entry]) -> bool:
        """In order. Returns whether there was anything new."""
        if not entries or entries[-1].offset <= self.last:
            return False
        if entries[0].offset <= self.last:
            entries = [entry for entry in entries if entry.offset > self.last]
        self._entries += entries
        self.last = entries[-1].offset
        self.size += sum([len(entry.body) for entry in entries])
        self._open = True
        return True

    def give(self, entries: list[Entry]) -> None:
        """A whole transaction's."""
        self.add(entries)
        self.transaction_ends()

    def transaction_ends(self) -> None:
        """The last entry, if the transaction had any, is the transaction's last one for this shape."""
        if self._open:
            self._entries[-1] = marked_last(self._entries[-1])
            self._open = False
            self._ended = len(self._entries)

    def take(self) -> tuple[list[Entry], list[Entry]]:
        """What can be appended now: whole transactions, and the beginning of the one that has not ended. Apart, for
        readers see nothing of a message that is not the end of a transaction.

        Of the one that has not ended one entry stays behind, since it may turn out to be the last.
        """
        whole, begun = self._entries[: self._ended], self._entries[self._ended : -1]
        self._entries, self._ended = self._entries[self._ended + len(begun) :], 0
        self.size = sum(len(entry.body) for entry in self._entries)
        return whole, begun


def messages(entries: list[Entry], limit: int = _MESSAGE_BYTES) -> Iterator[list[Entry]]:
    """Split into runs of at most `limit` bytes (or one entry that is larger)."""
    run: list[Entry] = []
    size = 0
    for entry in entries:
        if run and size + len(entry.body) > limit:
            yield run
            run, size = [], 0
        run.append(entry)
        size += len(entry.body) + 1
    if run:
        yield run


def largest_entry(js: JetStreamContext) -> int:
    """Bytes of the largest entry that fits into a message of this bus, beside its headers."""
    return int(js._nc.max_payload) - _HEADERS_ROOM


class ShapeLog:
    """Appends to `shapes.<handle>.log`. One writer at a time: the expected sequence fences any other."""

    __slots__ = ("_end", "_handle", "_js", "before", "sequence", "size", "whole")

    def __init__(self, js: JetStreamContext, handle: str) -> None:
        self._js = js
        self._handle = handle
        self.sequence = 0
        """In `SHAPES`, of its last message."""
        self.size = 0
        """Bytes of entries that it has ever held."""
        self.before = 0
        """What of them is in the last generation's snapshot."""
        self._end = SNAPSHOT_END
        self.whole = True
        """Whether what was found in the end was the end of a transaction."""

    @property
    def _subject(self) -> str:
        return subjects.shape_log(self._handle)

    @property
    def grown(self) -> int:
        """Bytes since the last generation's snapshot."""
        return self.size - self.before

    @property
    def largest(self) -> int:
        """Bytes of the largest entry that it takes."""
        return largest_entry(self._js)

    async def recover(self) -> Offset:
        """Learn where the log ends; returns the offset of its last entry."""
        try:
            last = await self._js.get_last_msg(streams.SHAPES.name, self._subject, direct=True)
        except NotFoundError:
            return self._end
        named = last.headers or {}
        self.sequence = last.seq or 0
        self.size = int(named.get(headers.BYTES, "0"))
        self._end = Offset.parse(named[headers.OFFSET])
        self.whole = named.get(headers.LAST) == "true"
        return self._end

    async def append(self, whole: list[Entry], begun: list[Entry]) -> None:
        """Append whole transactions and the beginning of one, and wait for the acks.

        Raises nats.js.errors.APIError when another writer appended meanwhile, TimeoutError without an ack.
        """
        await self._append(whole, whole=True)
        await self._append(begun, whole=False)

    async def _append(self, entries: list[Entry], whole: bool) -> None:
        runs = list(messages(entries))
        for number, run in enumerate(runs, 1):
            payload = b"[" + b",".join(entry.body for entry in run) + b"]"
            acked = await self._js.publish_async(
                self._subject,
                payload,
                headers={
                    headers.AFTER: str(self._end),
                    headers.OFFSET: str(run[-1].offset),
                    headers.LAST: "true" if whole and number == len(runs) else "false",
                    headers.BYTES: str(self.size + len(payload)),
                    headers.EXPECTED_LAST_SUBJECT_SEQUENCE: str(self.sequence),
                },
            )
            async with asyncio.timeout(_ACK_SECONDS):
                self.sequence = (await acked).seq
            self.size += len(payload)
            self._end = run[-1].offset
