"""What a client of a shape holds, by key, in a temporary SQLite database.

It lives in SQLite's page cache and goes to disk when that is full: memory is bounded, whatever the shape's size, and a
row can be shown when it differs.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

import orjson

Row = dict[str, str | None]
_CACHE_KIB = 64 * 1024


class Held:
    """Rows by key, each with how often it is there: without a primary key equal rows have one key."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("CREATE TABLE rows (key TEXT PRIMARY KEY, row BLOB, times INT) WITHOUT ROWID")
        self._file.execute("BEGIN")

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def insert(self, key: str, value: Row) -> bool:
        """False when it was there already."""
        (times,) = self._file.execute(
            "INSERT INTO rows VALUES (?, ?, 1)"
            " ON CONFLICT DO UPDATE SET row = excluded.row, times = times + 1 RETURNING times",
            (key, self._encoded(value)),
        ).fetchone()
        return bool(times == 1)

    def update(self, key: str, value: Row) -> bool:
        """The columns that are named; False when it was absent: then they are all that is known of it."""
        found = self._file.execute("SELECT row FROM rows WHERE key = ?", (key,)).fetchone()
        if found is None:
            self._file.execute("INSERT INTO rows VALUES (?, ?, 1)", (key, self._encoded(value)))
            return False
        row = self._decoded(found[0]) | value
        self._file.execute("UPDATE rows SET row = ? WHERE key = ?", (self._encoded(row), key))
        return True

    def delete(self, key: str) -> bool:
        """Once; False when it was absent."""
        found = self._file.execute("UPDATE rows SET times = times - 1 WHERE key = ?", (key,))
        if not found.rowcount:
            return False
        self._file.execute("DELETE FROM rows WHERE key = ? AND times <= 0", (key,))
        return True

    def only_once(self, key: str) -> None:
        self._file.execute("UPDATE rows SET times = 1 WHERE key = ?", (key,))

    def take(self, key: str, values: Sequence[str | None]) -> Row | bool | None:
        """Compare with a row of Postgres, and take it out: True when equal, the row held when not, None when absent."""
        found = self._file.execute("SELECT row FROM rows WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        self.delete(key)
        return True if found[0] == orjson.dumps(list(values)) else self._decoded(found[0])

    def left(self) -> Iterator[tuple[str, Row, int]]:
        """What nobody has taken out, in the order of keys."""
        rows: Iterable[tuple[str, bytes, int]] = self._file.execute("SELECT key, row, times FROM rows ORDER BY key")
        for key, row, times in rows:
            yield key, self._decoded(row), times

    def _encoded(self, value: Row) -> bytes:
        return orjson.dumps([value.get(name) for name in self._columns])

    def _decoded(self, row: bytes) -> Row:
        return dict(zip(self._columns, orjson.loads(row), strict=True))
