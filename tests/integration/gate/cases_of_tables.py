"""Changes of tables and views, and those that nobody must notice."""

from tests.integration.gate.cases import ITEM, READ, Case, all_roles, insert

_VIEW = f"CREATE VIEW shop.item AS SELECT {', '.join((*READ, 'spare'))} FROM shop.thing"
_COPY = (
    "CREATE TABLE shop.other (LIKE shop.item INCLUDING ALL);;"
    "INSERT INTO shop.other (id, label, code) VALUES (1, 'other', 'o1')"
)
_LABELS = "CREATE VIEW shop.labels AS SELECT id, label, amount, state FROM shop.item"
_LOG = (
    "CREATE TABLE shop.log (id int, label text) PARTITION BY RANGE (id);;"
    "CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM (0) TO (10);;INSERT INTO shop.log VALUES (1, 'x')"
)
_FUNCTION = "CREATE OR REPLACE FUNCTION shop.twice(x int) RETURNS int LANGUAGE sql AS 'SELECT x * {}'"
_SWAP = ITEM + "RENAME TO x;;ALTER TABLE shop.other RENAME TO item;;ALTER TABLE shop.x RENAME TO other"
_NOTED = (
    "CREATE FUNCTION shop.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';;"
    "CREATE TRIGGER noted AFTER INSERT OR UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.noted()"
)

TABLES = {
    "add a table": Case("CREATE TABLE shop.other (id int PRIMARY KEY, item int REFERENCES shop.item)"),
    "drop a table": Case(
        "DROP TABLE shop.item", ("drop-table",), **all_roles("42P01"), replica="42P01", new=(), mirrored=False
    ),
    "rename a table": Case(
        ITEM + "RENAME TO thing", ("rename-table",), **all_roles("42P01"), replica="42P01", mirror="42P01",
        new=(insert(20, into="shop.thing", code="'c20'"),),
    ),
    "rename a table, with a view of the old name": Case(
        f"{ITEM} RENAME TO thing;;{_VIEW}", new=(insert(20, into="shop.thing", code="'c20'"),), cautious=("mirror",)
    ),
    "rename a table, with a view that hides rows": Case(
        f"{ITEM} RENAME TO thing;;{_VIEW} WHERE id <> 1", ("replace-table",), reader="gone", replica="other rows",
        writer="silent", mirror="not kept", cautious=("reader",), judged_with_care=("reader",),
        new=(insert(20, into="shop.thing", code="'c20'"),),
    ),
    "rename what a foreign key points to, with a view": Case(
        "ALTER TABLE shop.owner RENAME TO person;;CREATE VIEW shop.owner AS SELECT id, name FROM shop.person",
        cautious=("mirror",),
    ),
    "swap two tables": Case(
        _SWAP, ("replace-table", "shop.other replace-table"), reader="other values", writer="silent",
        replica="other rows", given=_COPY, mirrored=False,
    ),
    "drop a table and make it again": Case(
        "CREATE TABLE shop.next (LIKE shop.item INCLUDING ALL);;DROP TABLE shop.item;;"
        "ALTER TABLE shop.next RENAME TO item", ("recreate-table", "drop-foreign-key owner"), reader="gone",
        writes=(insert(),), replica="other rows", mirrored=False,
    ),
    "a partition is dropped": Case(
        "DROP TABLE shop.log_1", ("shop.log drop-partition",), reader="gone", given=_LOG,
        read="SELECT id, label FROM shop.log", writes=(), new=(), cautious=("replica",),
    ),
    "a partition is detached": Case(
        "ALTER TABLE shop.log DETACH PARTITION shop.log_1", ("shop.log drop-partition",), reader="gone", given=_LOG,
        read="SELECT id, label FROM shop.log", writes=(), new=(), cautious=("replica",),
    ),
}  # fmt: skip
VIEWS = {
    "drop a view": Case(
        "DROP VIEW shop.labels", ("shop.labels drop-table",), given=_LABELS, reader="42P01", live="42P01",
        read="SELECT id, label FROM shop.labels", cautious=("writer", "replica"),
    ),
    "a column of a view is gone": Case(
        "DROP VIEW shop.labels;;CREATE VIEW shop.labels AS SELECT id FROM shop.item", ("shop.labels drop-column label",
        "shop.labels drop-column amount", "shop.labels drop-column state"), given=_LABELS, reader="42703", live="42703",
        read="SELECT id, label FROM shop.labels", cautious=("writer",),
    ),
    "what a view reads may be NULL": Case(
        ITEM + "ALTER label DROP NOT NULL", ("drop-not-null label", "shop.labels drop-not-null label"), given=_LABELS,
        read="SELECT id, label FROM shop.labels", reader="NULL in label", replica="23502",
        new=(insert(20, code="'c20'", label="NULL"),),
        judged_with_care=("reader",),  # a view's columns have no NOT NULL: its readers know NULLs by their contract
    ),
    "what a view reads knows more values": Case(
        ITEM + "DROP CONSTRAINT item_state_check", ("drop-check state", "shop.labels drop-check state"), given=_LABELS,
        read="SELECT id, state FROM shop.labels", reader="lost in state", replica="23514",
        new=(insert(20, code="'c20'", state="'lost'"),),
    ),
    "what is written through a view needs more": Case(
        ITEM + "ADD year int;;UPDATE shop.item SET year = 0;;" + ITEM + "ALTER year SET NOT NULL", given=_LABELS,
        finds=("add-required-column year", "shop.labels add-required-column"), writer="23502",
        writes=("INSERT INTO shop.labels (id, label) VALUES (10, 'ten')",), mirror="23502",
        new=(insert(20, code="'c20'", year=1),),
    ),
}  # fmt: skip
UNNOTICED = {
    "add an index": Case("CREATE INDEX ON shop.item (label)"),
    "add an index CONCURRENTLY": Case("CREATE INDEX CONCURRENTLY ON shop.item (label)"),
    "an index beside arbiters of some rows and of an expression": Case(
        "CREATE INDEX ON shop.item (label)",
        given="CREATE UNIQUE INDEX few ON shop.item (tag) WHERE amount < 5;;"
        "CREATE UNIQUE INDEX low ON shop.item (lower(tag), code)",
        writes=(
            insert(11, code="'c11'", tag="'t1'") + " ON CONFLICT (tag) WHERE amount < 5 DO NOTHING",
            insert(11, code="'c1'", tag="'T1'") + " ON CONFLICT (code, lower(tag)) DO NOTHING",
        ),
    ),
    "drop an index": Case("DROP INDEX shop.plain", given="CREATE INDEX plain ON shop.item (label)"),
    "validate a CHECK": Case(
        ITEM + "VALIDATE CONSTRAINT short_label",
        given=ITEM + "ADD CONSTRAINT short_label CHECK (char_length(label) < 99) NOT VALID",
    ),
    "validate a foreign key": Case(
        ITEM + "VALIDATE CONSTRAINT later",
        given=ITEM + "ADD CONSTRAINT later FOREIGN KEY (owner) REFERENCES shop.owner NOT VALID",
    ),
    "rename constraints and an index": Case(
        f"{ITEM} RENAME CONSTRAINT item_state_check TO known_state;;{ITEM} RENAME CONSTRAINT item_code_key TO once;;"
        "ALTER INDEX shop.item_pkey RENAME TO item_key;;" + ITEM + "RENAME CONSTRAINT item_owner_fkey TO owned"
    ),
    "a unique index instead of the constraint": Case(
        "CREATE UNIQUE INDEX CONCURRENTLY once ON shop.item (code);;" + ITEM + "DROP CONSTRAINT item_code_key"
    ),
    "a constraint made of a unique index": Case(
        "CREATE UNIQUE INDEX CONCURRENTLY once ON shop.item (code);;" + ITEM + "DROP CONSTRAINT item_code_key, "
        "ADD CONSTRAINT item_code_key UNIQUE USING INDEX once"
    ),
    "a primary key of what is unique without it": Case(
        ITEM + "ADD PRIMARY KEY (id)", given=ITEM + "DROP CONSTRAINT item_pkey, ADD UNIQUE (id)"
    ),
    "a key with columns that are unique without it": Case(ITEM + "ADD UNIQUE (id, tag)"),
    "a new column with a CHECK": Case(ITEM + "ADD stars int CHECK (stars BETWEEN 1 AND 5)"),
    "a new column with a foreign key": Case(ITEM + "ADD second int REFERENCES shop.owner"),
    "a new column that is unique": Case(ITEM + "ADD token uuid UNIQUE"),
    "a new column with a unique default": Case(ITEM + "ADD token uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE"),
    "a CHECK in other words": Case(
        ITEM + "DROP CONSTRAINT item_state_check;;" + ITEM + "ADD CHECK (state = ANY (ARRAY['done', 'new']))"
    ),
    "another partition": Case(
        "CREATE TABLE shop.log_2 PARTITION OF shop.log FOR VALUES FROM (10) TO (20)", given=_LOG,
        read="SELECT id, label FROM shop.log",
    ),
    "another body of a function": Case(_FUNCTION.format("2 + 0"), given=_FUNCTION.format(2)),
    "add a view": Case(_LABELS),
    "add a plain AFTER trigger": Case(_NOTED),
    "a comment": Case("COMMENT ON COLUMN shop.item.label IS 'words'"),
    "a disabled trigger is dropped": Case(
        "DROP TRIGGER noted ON shop.item", given=_NOTED + ";;" + ITEM + "DISABLE TRIGGER noted"
    ),
    "a new function and a new type": Case(
        _FUNCTION.format(2) + ";;CREATE TYPE shop.kind AS ENUM ('a');;" + ITEM + "ADD kind shop.kind"
    ),
}  # fmt: skip
CASES = {**TABLES, **VIEWS, **UNNOTICED}
