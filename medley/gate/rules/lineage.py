"""What has become of each table: by object id where ids can be compared, else by name. Pure.

A dump that is restored, or a copy of a database, gives every object another id: there a table is the one of its name.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from medley.gate.objects import Catalogue, Table

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


@dataclass(frozen=True)
class Lineage:
    """Two states of a schema, and which table of one is which of the other."""

    before: Catalogue
    after: Catalogue

    def name_now(self, old: Table) -> str | None:
        """The name of the object that `old` was; None when it is gone, or nobody can tell."""
        return self._names_now.get(old.entry.facts["oid"]) if self.comparable(old) else None

    def name_before(self, new: Table) -> str | None:
        """The name under which the object `new` was there before; None for one that was not there."""
        name = self._names_before.get(new.entry.facts["oid"])
        return name if name is not None and self.comparable(self.before.tables[name]) else None

    def renamed(self, name: str) -> str:
        """The name of today of a table that another table points to."""
        old = self.before.tables.get(name)
        return (self.name_now(old) if old is not None else None) or name

    def comparable(self, old: Table) -> bool:
        """Do object ids mean the same in both states?"""
        home = old.entry.facts.get("home")
        return self._some_kept and (home is None or not self._homes or home in self._homes)

    @cached_property
    def _names_now(self) -> dict[int, str]:
        return {table.entry.facts["oid"]: name for name, table in self.after.tables.items()}

    @cached_property
    def _names_before(self) -> dict[int, str]:
        return {table.entry.facts["oid"]: name for name, table in self.before.tables.items()}

    @cached_property
    def _homes(self) -> frozenset[str]:
        homes = (table.entry.facts.get("home") for table in self.after.tables.values())
        return frozenset(home for home in homes if home)

    @cached_property
    def _some_kept(self) -> bool:
        """When no table of several kept its id, all were restored: nobody makes all tables anew by migrations."""
        common = [name for name, table in self.before.tables.items() if not table.is_view and name in self.after.tables]
        return len(common) < 2 or not self._names_before.keys().isdisjoint(self._names_now)


@dataclass(frozen=True)
class Heir:
    """A table, what it is now, and whether that is the very object."""

    lineage: Lineage
    old: Table
    new: Table

    @cached_property
    def same(self) -> bool:
        return self.lineage.name_now(self.old) == self.new.name

    @cached_property
    def names(self) -> dict[str, str]:
        """The name of today of every column that lives on."""
        return _columns(self.old, self.new, self.same)

    @cached_property
    def old_names(self) -> dict[str, str]:
        return {now: was for was, now in self.names.items()}

    def referenced(self, table: str, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """What an old foreign key points to, in the names of today."""
        now = self.lineage.renamed(table)
        old, new = self.lineage.before.tables.get(table), self.lineage.after.tables.get(now)
        if old is None or new is None:
            return now, columns
        names = _columns(old, new, self.lineage.name_now(old) == now)
        return now, tuple(names.get(column, column) for column in columns)

    def today(self, text: str) -> str:
        """An old definition in the names of today: a rename alone changes no guard and no trigger."""
        renames = {_quoted(was): _quoted(now) for was, now in self.names.items() if was != now}
        if self.old.name != self.new.name:
            renames[self.old.name] = self.new.name
        if not renames:
            return text
        words = "|".join(re.escape(word) for word in sorted(renames, key=len, reverse=True))
        return re.sub(rf"(?<![\w$\"'.])(?:{words})(?![\w$\"'])", lambda match: renames[match.group()], text)


def _columns(old: Table, new: Table, same: bool) -> dict[str, str]:
    if not same:
        return {name: name for name in old.columns if name in new.columns}
    numbers = {column.facts["number"]: name for name, column in new.columns.items()}
    there = ((name, numbers.get(column.facts["number"])) for name, column in old.columns.items())
    return {name: now for name, now in there if now is not None}


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
