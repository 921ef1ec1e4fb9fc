"""Work in proportion to a table: which changes of the catalogue only come of it, and what to write instead. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

Key = tuple[str, object]

_MODES = {
    "AccessExclusiveLock": "ACCESS EXCLUSIVE: nobody reads or writes it",
    "ExclusiveLock": "EXCLUSIVE: nobody writes it",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE: nobody writes it",
    "ShareLock": "SHARE: nobody writes it",
}
_VALIDATE = "write ADD CONSTRAINT … NOT VALID here, and VALIDATE CONSTRAINT in a later file"
# Kind of work: rule, what is done, what to write instead.
_RULES = {
    "rewrite": (
        "rewrites-table",
        "writes the files of {table} anew",
        "add a new column, fill it in small steps, and go over to it in a later file",
    ),
    "index": (
        "blocking-index",
        "builds the index {item} on {table}",
        "write CREATE INDEX (or REINDEX) CONCURRENTLY, alone in a file that says -- migrate: no-transaction;"
        " a constraint takes such an index over (ADD CONSTRAINT … USING INDEX)",
    ),
    "check": ("blocking-constraint", "reads all of {table} for the constraint {item}", _VALIDATE),
    "foreign key": ("blocking-constraint", "reads all of {table} for the foreign key {item}", _VALIDATE),
    "not null": (
        "blocking-not-null",
        "reads all of {table} for nulls in {item}",
        "write ADD CONSTRAINT … CHECK ({item} IS NOT NULL) NOT VALID here, VALIDATE it in a later file,"
        " and SET NOT NULL after that",
    ),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the catalogue that is about a table (a row of `state` in locks.sql)."""

    kind: str
    table_oid: int
    table_name: str
    item: str
    identity: int
    columns: tuple[int, ...]
    defaulted: bool

    @property
    def key(self) -> Key:
        """What tells two of a table apart; a new name does not."""
        return self.kind, self.columns if self.kind in ("not null", "column") else self.identity


State = dict[Key, Entry]


def work_between(first: State, before: State, after: State, concurrently: bool) -> list[Entry]:
    """What a statement brought about that took work: from `before` it to `after` it, `first` being before its file."""
    new = [entry for key, entry in after.items() if key not in before and _took(entry, first, before, concurrently)]
    if any(entry.kind == "rewrite" for entry in new):  # which builds the indexes again, and reads all rows anyway
        return [entry for entry in new if entry.kind == "rewrite"]
    keyed = any(entry.kind == "index" and entry.defaulted for entry in new)  # a primary key includes its NOT NULL
    return [entry for entry in new if not (keyed and entry.kind == "not null")]


def _took(entry: Entry, first: State, before: State, concurrently: bool) -> bool:
    old_constraint = ("constraint", entry.identity) in first
    match entry.kind:
        case "rewrite":
            return True
        case "index":
            return not concurrently
        case "check":  # one that was there before was validated now, which blocks nobody
            return not old_constraint
        case "foreign key":  # ALTER TYPE makes it again, and need not look; nor need it for a new column of nulls
            again = any(other.kind == entry.kind and other.item == entry.item for other in before.values())
            return not old_constraint and not again and (entry.defaulted or not _is_new(entry, first))
        case "not null":
            return not old_constraint and not (entry.defaulted and _is_new(entry, first))
    return False


def _is_new(entry: Entry, first: State) -> bool:
    return all(("column", (column,)) not in first for column in entry.columns)


def advice(entry: Entry, first: State, mode: str | None) -> tuple[str, str, str]:
    """Rule, why, and what to write instead; `mode` is the lock that is held."""
    if entry.kind == "not null" and _is_new(entry, first):
        return (
            "required-column",
            f"the new column {entry.item} of {entry.table_name} is NOT NULL without a default: it fails on rows",
            "give it a DEFAULT, or let it be null and fill it first",
        )
    rule, does, instead = _RULES[entry.kind]
    # Without a transaction the lock is gone by now; Postgres's manual says which it was.
    held = _MODES[mode or ("AccessExclusiveLock" if entry.kind == "rewrite" else "ShareLock")]
    done = does.format(table=entry.table_name, item=entry.item)
    return rule, f"{done} under {held} for as long as that takes", instead.format(item=entry.item)


def by_table(entries: Iterable[Entry]) -> dict[int, State]:
    states: dict[int, State] = {}
    for entry in entries:
        states.setdefault(entry.table_oid, {})[entry.key] = entry
    return states
