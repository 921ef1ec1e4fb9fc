"""How a case of compatibility is written: a change of the shop (shop.sql), what the rules find in it, and what becomes
of each role when it is executed. Statements of a change are parted by `;;`; each runs alone."""

from dataclasses import dataclass
from types import EllipsisType
from typing import Any

Literals = int | float | str | EllipsisType

READ = (
    "id", "label", "note", "amount", "weight", "price", "exact", "tag", "state", "code", "owner", "mood", "short",
)  # fmt: skip
_ROW: dict[str, Literals] = {
    "id": 10, "label": "'ten'", "note": "NULL", "weight": 0.25, "price": "0.123456789012", "exact": "0.1234",
    "tag": "'t123456'", "state": "'new'", "code": "'c10'", "owner": 2, "mood": "'calm'", "short": "'short'",
}  # fmt: skip


def insert(id: int = 10, into: str = "shop.item", **changes: Literals) -> str:
    """A row of an old writer with some columns changed, added, or (`...`) left out."""
    row = {name: value for name, value in {**_ROW, "id": id, **changes}.items() if value is not ...}
    return f"INSERT INTO {into} ({', '.join(row)}) VALUES ({', '.join(map(str, row.values()))})"


UPSERT = (
    insert(1, code="'c9'") + " ON CONFLICT (id) DO UPDATE SET label = excluded.label",
    insert(11, code="'c1'") + " ON CONFLICT (code) DO UPDATE SET label = excluded.label",
)
UPDATE = "UPDATE shop.item SET label = 'x', amount = amount + 1 WHERE id = 1"
WRITES = (insert(), UPDATE, *UPSERT)
NEW = (insert(20, code="'c20'"),)


def reads(*without: str, table: str = "shop.item") -> str:
    return f"SELECT {', '.join(column for column in READ if column not in without)} FROM {table} ORDER BY id"


@dataclass(frozen=True)
class Case:
    """`given`: what was done before; `finds`: rules, each with its column (and first its table, if it is another one).

    What becomes of a role: `fine`, the SQLSTATE with which it is refused, or in a word what it is not told; `live`: the
    reader's statement that was prepared before; `refused`: how many of the writes. `cautious`: roles (or the `mirror`)
    that a rule calls worse off than these statements and rows are; `judged_with_care`: where the gate differs, too.
    """

    sql: str
    finds: tuple[str, ...] = ()
    reader: str = "fine"
    live: str = "fine"
    writer: str = "fine"
    replica: str = "fine"
    mirror: str = "fine"
    read: str = reads()
    writes: tuple[str, ...] = WRITES
    new: tuple[str, ...] = NEW
    given: str = ""
    refused: int | None = None
    cautious: tuple[str, ...] = ()
    judged_with_care: tuple[str, ...] = ()
    mirrored: bool = True


def all_roles(code: str) -> dict[str, Any]:
    """Reader and writer are refused alike."""
    return {"reader": code, "live": code, "writer": code}


ITEM = "ALTER TABLE shop.item "
