"""Statements of every kind, with what each reads and writes as a person would say it."""

from dataclasses import dataclass
from typing import NamedTuple

SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE TABLE shop.item (id int PRIMARY KEY, gone int, label text NOT NULL, price numeric(8, 2), mood shop.mood,
                        live bool NOT NULL DEFAULT true);
ALTER TABLE shop.item DROP COLUMN gone;
CREATE UNIQUE INDEX item_label ON shop.item (lower(label));
CREATE UNIQUE INDEX item_live ON shop.item (label, price) WHERE live;
CREATE TABLE shop.sale (id bigint PRIMARY KEY, item int NOT NULL REFERENCES shop.item, amount int, note text);
CREATE TABLE shop."Odd ""Table" ("The Key" int PRIMARY KEY, "b)c" text, ":d" text);
CREATE VIEW shop.cheap AS SELECT id, label FROM shop.item WHERE price < 1;
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
"""
ITEM, SALE, ODD, CHEAP = "shop.item", "shop.sale", 'shop."Odd ""Table"', "shop.cheap"
WHOLE = "id label live mood price"


class Writes(NamedTuple):
    """Columns with spaces between; `on` are the arbiters, one a string."""

    insert: str | None = None
    update: str = ""
    delete: bool = False
    on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """`reads` and `writes` by table."""

    sql: str
    reads: dict[str, str]
    writes: dict[str, Writes]


def _read(sql: str, reads: dict[str, str]) -> Case:
    return Case(sql, reads, {})


SELECTS = {
    "a select": _read("SELECT label FROM item WHERE id = $1", {ITEM: "id label"}),
    "no column at all": _read("SELECT 1 FROM item", {ITEM: ""}),
    "parameters alone": _read("SELECT $1::int, $2::text", {}),
    "catalogues": _read("SELECT c.relname FROM pg_class c, information_schema.tables t", {}),
    "the ledger": _read("SELECT filename FROM public.schema_versions", {}),
    "join": _read("SELECT s.note FROM item i JOIN sale s ON s.item = i.id", {ITEM: "id", SALE: "item note"}),
    "join using": _read("SELECT label FROM item JOIN sale USING (id)", {ITEM: "id label", SALE: "id"}),
    "merged column": _read("SELECT id FROM item FULL JOIN sale USING (id)", {ITEM: "id", SALE: "id"}),
    "natural join": _read("SELECT j.id, j.note FROM (item NATURAL LEFT JOIN sale) AS j", {ITEM: "id", SALE: "id note"}),
    "subselect as a column": _read(
        "SELECT label, (SELECT max(amount) FROM sale WHERE item = i.id) FROM item i",
        {ITEM: "id label", SALE: "amount item"},
    ),
    "subselect as a table": _read("SELECT x FROM (SELECT note AS x FROM sale) AS s", {SALE: "note"}),
    "subselect in a condition": _read(
        "SELECT id FROM item i WHERE EXISTS (SELECT FROM sale WHERE item = i.id AND note = $1)",
        {ITEM: "id", SALE: "item note"},
    ),
    "lateral": _read(
        "SELECT l.note FROM item i, LATERAL (SELECT note FROM sale WHERE item = i.id LIMIT $1) l",
        {ITEM: "id", SALE: "item note"},
    ),
    "group, having, order": _read(
        "SELECT item FROM sale GROUP BY item HAVING sum(amount) > $1 ORDER BY min(note)", {SALE: "amount item note"}
    ),
    "window": _read("SELECT row_number() OVER (PARTITION BY item ORDER BY id) FROM sale", {SALE: "id item"}),
    "union": _read("SELECT id FROM item UNION ALL SELECT item FROM sale", {ITEM: "id", SALE: "item"}),
    "recursive": _read(
        "WITH RECURSIVE r AS (SELECT id FROM item UNION SELECT s.item FROM sale s JOIN r ON s.id = r.id) "
        "SELECT id FROM r",
        {ITEM: "id", SALE: "id item"},
    ),
    "unused expression of a subselect": _read("SELECT x FROM (SELECT id AS x, note FROM sale) s", {SALE: "id note"}),
    "whole row": _read("SELECT i FROM item i", {ITEM: WHOLE}),
    "whole row into a function": _read("SELECT to_jsonb(i) FROM item i", {ITEM: WHOLE}),
    "every column": _read("SELECT * FROM item", {ITEM: WHOLE}),
    "columns of Postgres's own": _read("SELECT xmin, ctid, tableoid FROM item", {ITEM: ""}),
    "for update": _read("SELECT id FROM item WHERE live FOR UPDATE SKIP LOCKED", {ITEM: "id live"}),
    "view": _read("SELECT label FROM cheap", {CHEAP: "label"}),
    "quoted": _read('SELECT "b)c" FROM "Odd ""Table" WHERE "The Key" = $1', {ODD: "The Key|b)c"}),
    "an enumeration": _read("SELECT id FROM item WHERE mood = $1 OR mood = 'good'", {ITEM: "id mood"}),
}

INSERTS = {
    "an insert": Case("INSERT INTO item (id, label) VALUES ($1, $2)", {}, {ITEM: Writes("id label")}),
    "no names": Case("INSERT INTO sale VALUES ($1, $2)", {}, {SALE: Writes("id item")}),
    "defaults alone": Case("INSERT INTO item DEFAULT VALUES", {}, {ITEM: Writes("")}),
    "several rows": Case("INSERT INTO sale (id, item) VALUES ($1, 1), ($2, 2)", {}, {SALE: Writes("id item")}),
    "returning": Case(
        "INSERT INTO sale (id, item) VALUES ($1, 1) RETURNING note", {SALE: "note"}, {SALE: Writes("id item")}
    ),
    "from a select": Case(
        "INSERT INTO sale (id, item, note) SELECT $1, id, label FROM item WHERE live",
        {ITEM: "id label live"},
        {SALE: Writes("id item note")},
    ),
    "names that must be escaped": Case(
        'INSERT INTO "Odd ""Table" ("The Key", ":d") VALUES ($1, $2) '
        """ON CONFLICT ("The Key") DO UPDATE SET ":d" = ''""",
        {ODD: "The Key|"},
        {ODD: Writes(":d|The Key", ":d", on=("The Key|",))},
    ),
    "nothing on any conflict": Case(
        "INSERT INTO sale (id, item) VALUES ($1, 1) ON CONFLICT DO NOTHING", {}, {SALE: Writes("id item")}
    ),
    "nothing on one conflict": Case(
        "INSERT INTO sale (id, item) VALUES ($1, 1) ON CONFLICT (id) DO NOTHING",
        {SALE: "id"},
        {SALE: Writes("id item", on=("id",))},
    ),
    "upsert": Case(
        "INSERT INTO item AS i (id, label, price) VALUES ($1, $2, $3) ON CONFLICT (id) "
        "DO UPDATE SET label = excluded.label, mood = coalesce(excluded.mood, i.mood) WHERE i.live",
        {ITEM: "id live mood"},
        {ITEM: Writes("id label price", "label mood", on=("id",))},
    ),
    "upsert of a select that may be empty": Case(
        "INSERT INTO sale (id, item) SELECT $1, $2::int WHERE $2 > 1 "
        "ON CONFLICT (id) DO UPDATE SET item = excluded.item",
        {SALE: "id"},
        {SALE: Writes("id item", "item", on=("id",))},
    ),
    "upsert on a constraint": Case(
        "INSERT INTO sale (id, item) VALUES ($1, 1) ON CONFLICT ON CONSTRAINT sale_pkey DO UPDATE SET note = $2",
        {SALE: "id"},
        {SALE: Writes("id item", "note", on=("id",))},
    ),
    "upsert on an expression": Case(
        "INSERT INTO item (id, label) VALUES ($1, $2) ON CONFLICT (lower(label)) DO NOTHING",
        {ITEM: "label"},
        {ITEM: Writes("id label", on=("lower(label)",))},
    ),
    "upsert on a partial index": Case(
        "INSERT INTO item (id, label) VALUES ($1, $2) ON CONFLICT (price, label) WHERE live DO NOTHING",
        {ITEM: "label live price"},
        {ITEM: Writes("id label", on=("label|price|WHERE live",))},
    ),
}

CHANGES = {
    "update": Case(
        "UPDATE item SET price = $1, label = label || '!' WHERE id = $2",
        {ITEM: "id label"},
        {ITEM: Writes(update="label price")},
    ),
    "update that reads nothing": Case("UPDATE item SET live = false", {}, {ITEM: Writes(update="live")}),
    "update of several at once": Case(
        "UPDATE item SET (label, price) = (SELECT note, amount FROM sale WHERE item = $1)",
        {SALE: "amount item note"},
        {ITEM: Writes(update="label price")},
    ),
    "update from": Case(
        "UPDATE item i SET label = s.note FROM sale s WHERE s.item = i.id RETURNING s.id",
        {ITEM: "id", SALE: "id item note"},
        {ITEM: Writes(update="label")},
    ),
    "update from itself": Case(
        "UPDATE item i SET label = o.label FROM item o WHERE o.price = i.price",
        {ITEM: "label price"},
        {ITEM: Writes(update="label")},
    ),
    "update through a view": Case(
        "UPDATE cheap SET label = $1 WHERE id = $2", {CHEAP: "id"}, {CHEAP: Writes(update="label")}
    ),
    "delete of all": Case("DELETE FROM sale", {}, {SALE: Writes(delete=True)}),
    "delete using": Case(
        "DELETE FROM sale USING item i WHERE i.id = sale.item AND NOT i.live",
        {ITEM: "id live", SALE: "item"},
        {SALE: Writes(delete=True)},
    ),
    "insert within": Case(
        "WITH new AS (INSERT INTO item (id, label) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id, mood) "
        "INSERT INTO sale (id, item) SELECT $3, id FROM new",
        {ITEM: "id mood"},
        {ITEM: Writes("id label", on=("id",)), SALE: Writes("id item")},
    ),
    "delete within": Case(
        "WITH old AS (DELETE FROM sale WHERE id = $1 RETURNING item, note) "
        "UPDATE item SET label = old.note FROM old WHERE item.id = old.item",
        {SALE: "id item note", ITEM: "id"},
        {SALE: Writes(delete=True), ITEM: Writes(update="label")},
    ),
    "merge": Case(
        "MERGE INTO item i USING sale s ON s.item = i.id WHEN MATCHED AND i.live THEN UPDATE SET label = s.note "
        "WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.item, 'x')",
        {ITEM: "id live", SALE: "item note"},
        {ITEM: Writes("id label", "label")},
    ),
}

CASES = {**SELECTS, **INSERTS, **CHANGES}
assert len(CASES) == len(SELECTS) + len(INSERTS) + len(CHANGES)
