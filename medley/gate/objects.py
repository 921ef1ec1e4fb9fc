"""What a schema is made of, as values: objects with canonical lines that are the same on any server. Pure."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple


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
