"""The live catalogue: every object that migrations make, as canonical lines that are the same on any server.

The lines are read with fixed session settings, or one database would have many texts: with `public` on the search
path, a foreign key reads `REFERENCES songs`, and without it `REFERENCES public.songs`.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import asyncpg

from medley.gate import views
from medley.runtime import statements

SQL = statements.load(__file__)

SESSION = {
    "search_path": "",
    "DateStyle": "ISO, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}
# A table that another session drops while we read it: the catalogue's own functions fail on it.
_RACED = (asyncpg.UndefinedObjectError, asyncpg.UndefinedTableError, asyncpg.InternalServerError)


class Entry(NamedTuple):
    """One object. `facts` is for comparing, and not part of what the schema is."""

    kind: str
    relation: str
    name: str
    definition: str
    facts: dict[str, Any]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.relation, self.name

    @property
    def title(self) -> str:
        """The object as people name it: `column public.songs.title`."""
        return f"{self.kind} {'.'.join(part for part in (self.relation, self.name) if part)}"

    @property
    def line(self) -> str:
        return "\t".join((self.kind, self.relation, self.name, self.definition))


@dataclass(frozen=True)
class Catalogue:
    """What a database is, at one moment."""

    entries: tuple[Entry, ...]

    @cached_property
    def fingerprint(self) -> str:
        """`v1:` and the sha256 of the lines, sorted bytewise and joined by line feeds."""
        lines = "\n".join(sorted(entry.line for entry in self.entries))  # code point order is UTF-8's byte order
        return f"v1:{hashlib.sha256(lines.encode()).hexdigest()}"

    @cached_property
    def by_key(self) -> dict[tuple[str, str, str], Entry]:
        return {entry.key: entry for entry in self.entries}

    @cached_property
    def tables(self) -> "dict[str, Table]":
        """Tables and views by their qualified names."""
        found = {e.relation: Table(e.relation, e, {}, {}, {}, {}) for e in self.entries if e.kind in ("table", "view")}
        for entry in self.entries:
            if (table := found.get(entry.relation)) is not None:
                part = {"column": table.columns, "constraint": table.constraints, "index": table.indexes}.get(
                    entry.kind, table.others
                )
                part[entry.name] = entry
        return found

    def as_json(self) -> str:
        return json.dumps([list(entry) for entry in sorted(self.entries, key=lambda entry: entry.key)])


def patched(recorded: Catalogue, before: Catalogue, after: Catalogue) -> Catalogue:
    """What the schema is meant to be once a migration took the live one from `before` to `after`.

    What else differs between `recorded` and `before` was not made by a migration, and stays told apart.
    """
    if recorded.fingerprint == before.fingerprint:
        return after
    entries = dict(recorded.by_key)
    for key, entry in after.by_key.items():
        if before.by_key.get(key) != entry:
            entries[key] = entry
    for key in before.by_key.keys() - after.by_key.keys():
        entries.pop(key, None)
    return Catalogue(tuple(entries.values()))


class Table(NamedTuple):
    """A table or a view, with what belongs to it by name; `others` are triggers, policies and rules."""

    name: str
    entry: Entry
    columns: dict[str, Entry]
    constraints: dict[str, Entry]
    indexes: dict[str, Entry]
    others: dict[str, Entry]

    @property
    def is_view(self) -> bool:
        return self.entry.kind == "view"


def from_rows(rows: Iterable[Iterable[Any]]) -> Catalogue:
    """From the rows of the query `catalogue`; facts may still be JSON text."""
    return Catalogue(
        tuple(
            Entry(kind, relation, name, definition, json.loads(facts) if isinstance(facts, str) else facts)
            for kind, relation, name, definition, facts in rows
        )
    )


def from_json(text: str) -> Catalogue:
    """The reverse of `Catalogue.as_json`."""
    return from_rows(json.loads(text))


async def read(connection: asyncpg.Connection) -> Catalogue:
    """The catalogue as this session sees it, its open transaction included."""
    for _ in range(4):
        try:
            return await _read(connection)
        except _RACED:
            continue
    return await _read(connection)


async def _read(connection: asyncpg.Connection) -> Catalogue:
    inside = connection.is_in_transaction()
    async with connection.transaction():
        before = [await connection.fetchval("SELECT current_setting($1)", name) for name in SESSION] if inside else []
        await _set(connection, SESSION)
        rows = await connection.fetch(SQL["catalogue"])
        if inside:  # SET LOCAL outlives a savepoint
            await _set(connection, dict(zip(SESSION, before, strict=True)))
    if connection.get_server_version().major >= 16:
        return from_rows(rows)
    return from_rows(
        (kind, relation, name, views.unqualified(definition) if kind == "view" else definition, facts)
        for kind, relation, name, definition, facts in rows
    )


async def _set(connection: asyncpg.Connection, settings: dict[str, str]) -> None:
    calls = ", ".join(f"set_config(${2 * n + 1}, ${2 * n + 2}, true)" for n in range(len(settings)))
    await connection.fetch(f"SELECT {calls}", *(part for pair in settings.items() for part in pair))
