"""Guards: what a table refuses. Primary keys, unique constraints and indexes, checks, foreign keys, exclusions.

Guards are compared by what they say, in the names of today: neither their own names nor a rename changes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from medley.gate.findings import Class, Finding
from medley.gate.objects import Entry, Table
from medley.gate.rules.lineage import Heir

Target = tuple[str, tuple[str, ...]]


class Guard(NamedTuple):
    """One of them. `columns` in the names of before; `others` are columns that are dropped, or new."""

    kind: str  # c, f, p, u, x as in pg_constraint
    name: str
    columns: tuple[str, ...]
    others: tuple[str, ...]
    says: str
    entry: Entry

    @property
    def deferrable(self) -> bool:
        return bool(self.entry.facts.get("deferrable"))


@dataclass(frozen=True)
class Change:
    """The guards of a table, before and now."""

    heir: Heir

    @property
    def table(self) -> str:
        return self.heir.old.name

    @cached_property
    def was(self) -> dict[tuple[str, str], Guard]:
        return {(guard.kind, guard.says): guard for guard in map(self._old, _of(self.heir.old))}

    @cached_property
    def now(self) -> dict[tuple[str, str], Guard]:
        return {(guard.kind, guard.says): guard for guard in map(self._new, _of(self.heir.new))}

    def gone(self, *kinds: str) -> list[Guard]:
        """What is not there any more, but for that which went with its column."""
        lost = [self.was[key] for key in sorted(self.was.keys() - self.now.keys())]
        return [guard for guard in lost if guard.kind in kinds and (guard.columns or not guard.others)]

    def come(self, *kinds: str) -> list[Guard]:
        return [self.now[key] for key in sorted(self.now.keys() - self.was.keys()) if key[0] in kinds]

    def pairs(self, kind: str) -> tuple[list[tuple[Guard, Guard]], list[Guard], list[Guard]]:
        """Guards that took each other's place (of one name, or about the same), those only gone, those only come."""
        gone, come, paired = self.gone(kind), self.come(kind), []
        for name_counts in (True, False):
            for old in list(gone):
                new = next((new for new in come if _alike(old, new, name_counts)), None)
                if new is not None:
                    paired.append((old, new))
                    gone.remove(old)
                    come.remove(new)
        return paired, gone, come

    def told(
        self, rule: str, guard: Guard, reader: Class, writer: Class, replica: Class, sentence: str
    ) -> Iterator[Finding]:
        """One finding for each column that a guard is about: who uses none of them is not concerned."""
        for column in guard.columns or guard.others or ("",):
            yield Finding(rule, self.table, column, reader, writer, replica, sentence)

    def place(self, guard: Guard) -> str:
        """The table and the columns, as sentences name them."""
        columns = ", ".join((*guard.columns, *guard.others))
        return f"{self.table} ({columns})" if columns else self.table

    def _old(self, entry: Entry) -> Guard:
        heir, names = self.heir, _columns(entry)
        kept, lost = _split(names, heir.names)
        today = tuple(heir.names.get(name, name) for name in names)
        to = _target(entry)
        to = heir.referenced(*to) if to is not None else None
        return _guard(entry, kept, lost, _says(entry, today, heir.today(entry.definition), to))

    def _new(self, entry: Entry) -> Guard:
        names = _columns(entry)
        known, fresh = _split(names, self.heir.old_names)
        before = tuple(self.heir.old_names[name] for name in known)
        return _guard(entry, before, fresh, _says(entry, names, entry.definition, _target(entry)))


def _of(table: Table) -> Iterator[Entry]:
    """Everything that refuses; NOT VALID guards new rows like any other."""
    yield from (entry for entry in table.constraints.values() if not entry.definition.endswith("NOT ENFORCED"))
    yield from (entry for entry in table.indexes.values() if entry.facts["unique"] and entry.facts["valid"])


def _columns(entry: Entry) -> tuple[str, ...]:
    """Every column that it is about, those inside expressions and conditions, too."""
    return tuple(entry.facts.get("uses") or entry.facts["columns"] or ())


def _split(names: tuple[str, ...], known: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(name for name in names if name in known), tuple(name for name in names if name not in known)


def _guard(entry: Entry, columns: tuple[str, ...], others: tuple[str, ...], says: str) -> Guard:
    return Guard(entry.facts.get("kind", "u"), entry.name, columns, others, says, entry)


def _target(entry: Entry) -> Target | None:
    """What a foreign key points to."""
    if entry.facts.get("kind") != "f":
        return None
    return entry.facts["references"], tuple(entry.facts["referenced"])


def _says(entry: Entry, columns: tuple[str, ...], definition: str, to: Target | None) -> str:
    facts, definition = entry.facts, definition.removesuffix(" NOT VALID")
    deferrable = " DEFERRABLE" if facts.get("deferrable") else ""
    if to is not None:
        rest = f"MATCH {facts['match']} ON DELETE {facts['action']} ON UPDATE {facts['update']}{deferrable}"
        return f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {to[0]} ({', '.join(to[1])}) {rest}"
    if facts.get("kind") == "p":
        return f"PRIMARY KEY ({', '.join(sorted(columns))}){deferrable}"
    if is_plainly_unique(entry):
        return f"UNIQUE ({', '.join(sorted(columns))}){deferrable}"
    if entry.kind == "index":
        return definition[definition.index(" USING ") :]
    return definition


def is_plainly_unique(entry: Entry) -> bool:
    """Is it about all rows and about columns alone, with every NULL another value?"""
    return (
        entry.facts.get("kind", "u") == "u"
        and bool(entry.facts["columns"])
        and not entry.facts.get("partial")
        and "NULLS NOT DISTINCT" not in entry.definition
    )


def _alike(old: Guard, new: Guard, name_counts: bool) -> bool:
    if old.kind == "f" and _points_to(old) != _points_to(new):
        return False
    if name_counts:
        return old.name == new.name
    return bool(old.columns) and not new.others and set(old.columns) == set(new.columns)


def _points_to(guard: Guard) -> str:
    """The table of a foreign key, in the name of today."""
    return guard.says.partition(" REFERENCES ")[2].partition(" (")[0]
