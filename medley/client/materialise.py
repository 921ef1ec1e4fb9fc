"""A copy of a shape in memory: what a client holds after the messages that it has seen."""

from collections.abc import Iterable

from medley.client.http import Message

Row = dict[str, str | None]


class Copy:
    """Rows by key. `apply` is total: a message that does not fit (an insert of a row that is there, an update of
    one that is not) is kept in `faults`, since it means that something was lost or doubled on the way."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.faults: list[str] = []
        self.up_to_date = False
        self.lsn = 0

    def apply(self, messages: Iterable[Message]) -> None:
        for message in messages:
            headers = message["headers"]
            match headers.get("operation") or headers.get("control"):
                case "insert":
                    if message["key"] in self.rows:
                        self.faults.append(f"inserted twice: {message['key']}")
                    self.rows[message["key"]] = dict(message["value"])
                case "update":
                    if message["key"] not in self.rows:
                        self.faults.append(f"updated but absent: {message['key']}")
                    self.rows.setdefault(message["key"], {}).update(message["value"])
                case "delete":
                    if self.rows.pop(message["key"], None) is None:
                        self.faults.append(f"deleted but absent: {message['key']}")
                case "up-to-date":
                    self.up_to_date = True
                    self.lsn = max(self.lsn, int(headers.get("global_last_seen_lsn", 0)))
                case "must-refetch":
                    self.rows.clear()
                    self.up_to_date = False
