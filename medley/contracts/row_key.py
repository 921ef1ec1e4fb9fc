"""The key by which clients of a shape know a row (protocol section 1.5). Pure."""

from collections.abc import Mapping, Sequence

from medley.contracts.shapes import Column


class RowKey:
    """`"schema"."table"/"pk"…`; all columns, sorted by name, where there is no primary key.

    `.` and `/` are doubled in names, `/` in values; NULL is `_`.
    """

    def __init__(self, schema: str, table: str, columns: Sequence[Column]) -> None:
        """`columns`: those that the shape shows, with all of the primary key."""
        keyed = [column for column in columns if column.pk_index is not None]
        self.primary = tuple(column.name for column in sorted(keyed, key=lambda column: column.pk_index or 0))
        """The primary key's columns in its order; none where there is none."""
        self._columns = self.primary or tuple(sorted(column.name for column in columns))
        self.prefix = f"{_quoted(schema)}.{_quoted(table)}"

    def of(self, row: Mapping[str, str | None]) -> str:
        key = self.prefix
        for name in self._columns:
            value = row.get(name)
            key += "/_" if value is None else f'/"{value.replace("/", "//")}"'
        return key


def _quoted(name: str) -> str:
    return '"' + name.replace(".", "..").replace("/", "//") + '"'
