"""Compares rows of Postgres with what is held, one by one. Pure but for the rows, which `Held` keeps."""

from collections.abc import Iterator, Sequence

from medley.contracts.row_key import RowKey
from medley.contracts.shapes import Column
from medley.sql.quoting import quote_identifier
from medley.verify.findings import Finding, Part
from medley.verify.held import Held, Row

_SHOWN_COLUMNS = 4
_SHOWN_LENGTH = 60


class Comparison:
    """Of one table's rows; `remedy` is what to do about a difference."""

    def __init__(
        self, part: Part, subject: str, key: RowKey, columns: Sequence[Column], held: Held, remedy: str
    ) -> None:
        self._part = part
        self._subject = subject
        self._key = key
        self._names = [column.name for column in columns]
        self._held = held
        self._remedy = remedy

    def row(self, values: Sequence[str | None]) -> Iterator[Finding]:
        """One that Postgres has."""
        row = dict(zip(self._names, values, strict=True))
        key = self._key.of(row)
        held = self._held.take(key, values)
        if held is None:
            yield Finding(self._part, "missing row", self._subject, key, "nothing", "the row", self._remedy)
        elif isinstance(held, dict):
            found, needed = _differing(held, row)
            yield Finding(self._part, "different row", self._subject, key, found, needed, self._remedy)

    def finish(self) -> Iterator[Finding]:
        """What is held and Postgres does not have."""
        for key, _, times in self._held.left():
            found = "the row" if times == 1 else f"the row {times} times too often"
            yield Finding(self._part, "extra row", self._subject, key, found, "nothing", self._remedy)


def _differing(held: Row, row: Row) -> tuple[str, str]:
    names = [name for name in row if held.get(name) != row[name]]
    more = f" and {len(names) - _SHOWN_COLUMNS} columns more" if len(names) > _SHOWN_COLUMNS else ""
    return tuple(  # type: ignore[return-value]
        ", ".join(f"{name}={_short(side.get(name))}" for name in names[:_SHOWN_COLUMNS]) + more for side in (held, row)
    )


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    return repr(value if len(value) <= _SHOWN_LENGTH else value[: _SHOWN_LENGTH - 1] + "…")


def selected(relation: str, name: str, columns: Sequence[Column], where: str | None) -> str:
    """The rows of a relation, written as FROM names it; a clause may name the table by `name`."""
    shown = ", ".join(quote_identifier(column.name) for column in columns)
    clause = f" WHERE {where}" if where is not None else ""
    return f"SELECT {shown} FROM {relation} AS {quote_identifier(name)}{clause}"
