"""A copy of one shape, and what is wrong with the entries that made it: kinds, order, marks, values. Pure."""

from collections.abc import Sequence
from typing import Any

from medley.client import Copy

Message = dict[str, Any]


class StrictCopy:
    """Applies entries one by one, each checked against the row that it is about."""

    def __init__(self, key: Sequence[str], full: bool) -> None:
        self._key, self._full = tuple(key), full
        self._copy = Copy()
        self.faults: list[str] = []
        self._last: tuple[int, int] = (0, -1)
        self._open: tuple[int, list[int]] | None = None
        """The transaction whose last entry was not seen yet."""

    @property
    def rows(self) -> list[dict[str, str | None]]:
        return list(self._copy.rows.values())

    @property
    def inside(self) -> bool:
        """Whether the last entry of a transaction is still to come."""
        return self._open is not None

    def snapshot(self, messages: Sequence[Message]) -> None:
        self._copy.apply(messages)

    def log(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if "operation" in message["headers"]:
                self._check(message)
            self._copy.apply([message])

    def settled(self) -> list[str]:
        """Every fault, once what was committed is here."""
        unended = [f"no entry of transaction {self._open} is its last"] if self._open else []
        return [*self._copy.faults, *self.faults, *unended]

    def _check(self, message: Message) -> None:
        marks, value = message["headers"], message["value"]
        old = self._copy.rows.get(message["key"], {})
        offset = (int(marks["lsn"]), int(marks["op_position"]))
        if offset <= self._last:
            self._fault(message, f"stands after {self._last}")
        self._last = offset
        self._transaction(message)
        match marks["operation"]:
            case "update":
                if all(old.get(name) == text for name, text in value.items()):
                    self._fault(message, "changes nothing")
                self._update(message, old)
            case "delete":
                keyed = bool(self._key) and not self._full
                wanted = {name: old.get(name) for name in self._key} if keyed else old
                if value != wanted:
                    self._fault(message, f"is not of the row {wanted}")

    def _transaction(self, message: Message) -> None:
        marks = message["headers"]
        here = (int(marks["lsn"]), marks["txids"])
        if self._open is not None and self._open != here:
            self._fault(message, f"begins before {self._open} ended")
        self._open = None if marks.get("last") else here

    def _update(self, message: Message, old: dict[str, str | None]) -> None:
        value = message["value"]
        changed = {name for name, text in value.items() if old.get(name) != text}
        if self._full:
            if message.get("old_value") != {name: old.get(name) for name in changed}:
                self._fault(message, f"old values are not those of {old}")
            if value.keys() != old.keys():
                self._fault(message, "is not the whole row")
        elif self._key and value.keys() != changed | set(self._key):
            self._fault(message, f"shows what did not change: {value.keys() - changed - set(self._key)}")

    def _fault(self, message: Message, what: str) -> None:
        marks = message["headers"]
        self.faults.append(f"{marks['operation']} of {message['key']} at {marks['lsn']}/{marks['op_position']} {what}")
