"""Changes of constraints, keys, triggers and row security."""

from tests.integration.gate.cases import ITEM, WRITES, Case, insert

_CHECK_STATE = ITEM + "DROP CONSTRAINT item_state_check, ADD CHECK (state IN ({}))"
_SHOUT = (
    "CREATE FUNCTION shop.shout() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN NEW.label := upper(NEW.label); RETURN NEW; END';;"
)
_LOUD = _SHOUT + "CREATE TRIGGER loud BEFORE INSERT OR UPDATE ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.shout()"
_LOST = (insert(20, code="'c20'", state="'lost'"),)
_OWNER = "CONSTRAINT item_owner_fkey"
_SHARED = ITEM + "ENABLE ROW LEVEL SECURITY;;CREATE POLICY all_of_it ON shop.item USING (true)"

CHECKS = {
    "add a CHECK": Case(
        ITEM + "ADD CHECK (label <> 'ten')", ("add-check label",), writer="23514", mirror="23514",
        new=(insert(20, code="'c20'", label="'x'"),),
    ),
    "add a CHECK that is NOT VALID": Case(
        ITEM + "ADD CHECK (label <> 'ten') NOT VALID", ("add-check label",), writer="23514", mirror="23514",
        new=(insert(20, code="'c20'", label="'x'"),),
    ),
    "add a CHECK that asks for a value": Case(
        ITEM + "ADD CHECK (spare IS NOT NULL) NOT VALID", ("add-check spare",), writer="23514", mirror="23514",
        new=(insert(20, code="'c20'", spare="'s'"),),
    ),
    "add a second CHECK of a column": Case(
        ITEM + "ADD CHECK (state <> 'done')", ("add-check state",), writer="23514", mirror="23514",
        writes=(*WRITES, insert(12, code="'c12'", state="'done'")),
    ),
    "add a CHECK of an old column and a new one": Case(
        ITEM + "ADD year int, ADD CHECK (label <> 'ten' OR year IS NOT NULL)", ("add-check label",), writer="23514",
        mirror="23514", new=(insert(20, code="'c20'", year=1999),),
    ),
    "widen a CHECK": Case(
        _CHECK_STATE.format("'new', 'done', 'lost'"), ("widen-check state",), reader="lost in state", replica="23514",
        new=_LOST,
    ),
    "narrow a CHECK": Case(
        _CHECK_STATE.format("'new'"), ("narrow-check state",), writer="23514", mirror="23514",
        writes=(*WRITES, insert(12, code="'c12'", state="'done'")),
    ),
    "another CHECK": Case(
        ITEM + "DROP CONSTRAINT item_state_check, ADD CHECK (state <> 'done')", ("change-check state",),
        reader="lost in state", writer="23514", replica="23514", mirror="23514", new=_LOST,
        writes=(*WRITES, insert(12, code="'c12'", state="'done'")),
    ),
    "drop a CHECK": Case(
        ITEM + "DROP CONSTRAINT item_state_check", ("drop-check state",), reader="lost in state", replica="23514",
        new=_LOST,
    ),
}  # fmt: skip
KEYS = {
    "add a UNIQUE constraint": Case(
        ITEM + "ADD UNIQUE (tag)", ("add-unique tag",), writer="23505", mirror="23505",
        writes=(*WRITES, insert(12, code="'c12'", tag="'t1'")),
    ),
    "add a UNIQUE index": Case(
        "CREATE UNIQUE INDEX ON shop.item (lower(tag))", ("add-unique tag",), writer="23505", mirror="23505",
        writes=(*WRITES, insert(12, code="'c12'", tag="'T1'")),
    ),
    "add a UNIQUE index of some rows, CONCURRENTLY": Case(
        "CREATE UNIQUE INDEX CONCURRENTLY ON shop.item (tag) WHERE amount < 5", ("add-unique amount", "add-unique tag"),
        writer="23505", mirror="23505", writes=(*WRITES, insert(12, code="'c12'", tag="'t1'")),
    ),
    "drop a UNIQUE constraint": Case(
        ITEM + "DROP CONSTRAINT item_code_key", ("drop-unique code",), writer="42P10", replica="23505",
        new=(insert(20, code="'c1'"),),
    ),
    "drop a UNIQUE index": Case(
        "DROP INDEX shop.once", ("drop-unique tag",), writer="42P10", replica="23505",
        given="CREATE UNIQUE INDEX once ON shop.item (tag)", new=(insert(20, code="'c20'", tag="'t1'"),),
        writes=(insert(11, code="'c11'", tag="'t1'") + " ON CONFLICT (tag) DO UPDATE SET label = excluded.label",),
    ),
    "an arbiter of another expression": Case(
        "DROP INDEX shop.low;;CREATE UNIQUE INDEX low ON shop.item (reverse(tag))",
        ("drop-unique tag", "add-unique tag"), writer="42P10", replica="23505",
        given="CREATE UNIQUE INDEX low ON shop.item (lower(tag))", mirrored=False,
        writes=(insert(11, code="'c11'", tag="'T1'") + " ON CONFLICT (lower(tag)) DO NOTHING",),
        new=(insert(20, code="'c20'", tag="'t9'"), insert(21, code="'c21'", tag="'T9'")),
    ),
    "a UNIQUE index of some rows only": Case(
        "DROP INDEX shop.once;;CREATE UNIQUE INDEX once ON shop.item (tag) WHERE amount < 5", ("drop-unique tag",),
        writer="42P10", replica="23505", given="CREATE UNIQUE INDEX once ON shop.item (tag)",
        new=(insert(20, code="'c20'", tag="'t1'", amount=9),),
        writes=(insert(11, code="'c11'", tag="'t1'") + " ON CONFLICT (tag) DO NOTHING",),
    ),
    "drop a UNIQUE that another one implies": Case(
        ITEM + "DROP CONSTRAINT pair", ("drop-unique code", "drop-unique id"), writer="42P10",
        given=ITEM + "ADD CONSTRAINT pair UNIQUE (code, id)",
        writes=(insert(1, code="'c1'") + " ON CONFLICT (id, code) DO UPDATE SET label = excluded.label",),
    ),
    "a UNIQUE becomes DEFERRABLE": Case(
        ITEM + "DROP CONSTRAINT item_code_key, ADD UNIQUE (code) DEFERRABLE", ("defer-unique code",), writer="55000",
    ),
    "another primary key": Case(
        ITEM + "DROP CONSTRAINT item_pkey, ADD PRIMARY KEY (code)", ("change-primary-key", "set-not-null code"),
        writer="42P10", replica="other rows", mirror="23502", new=(insert(1, code="'c20'"),),
        writes=(*WRITES, insert(12, code="NULL")),
    ),
    "a unique constraint instead of the primary key": Case(
        ITEM + "DROP CONSTRAINT item_pkey, ADD UNIQUE (id)", ("change-primary-key",), cautious=("writer",),
        judged_with_care=("writer",),
    ),
    "no primary key": Case(
        ITEM + "DROP CONSTRAINT item_pkey", ("change-primary-key",), writer="42P10", replica="other rows",
        new=(insert(1, code="'c20'"),), mirrored=False,
    ),
    "add a primary key": Case(
        ITEM + "ADD PRIMARY KEY (id)", ("add-primary-key id",), given=ITEM + "DROP CONSTRAINT item_pkey",
        writer="23505", writes=(insert(1, code="'c12'"),), new=(), mirrored=False,
    ),
    "add an exclusion": Case(
        ITEM + "ADD EXCLUDE (tag WITH =)", ("add-unique tag",), writer="23P01", mirror="23P01",
        writes=(*WRITES, insert(12, code="'c12'", tag="'t1'")),
    ),
}  # fmt: skip
REFERENCES = {
    "add a foreign key": Case(
        ITEM + "ADD FOREIGN KEY (amount) REFERENCES shop.owner", ("add-foreign-key amount",), writer="23503",
        mirror="23503", new=(insert(20, code="'c20'", amount=1),),
    ),
    "drop a foreign key": Case(
        ITEM + "DROP CONSTRAINT item_owner_fkey", ("drop-foreign-key owner",), replica="23503",
        new=(insert(20, code="'c20'", owner=99),),
    ),
    "a foreign key deletes": Case(
        f"{ITEM} DROP {_OWNER}, ADD {_OWNER} FOREIGN KEY (owner) REFERENCES shop.owner ON DELETE CASCADE",
        ("change-foreign-key-action owner",), writer="silent", replica="23503",
        writes=(*WRITES, "DELETE FROM shop.owner WHERE id = 1"), new=("DELETE FROM shop.owner WHERE id = 1",),
    ),
    "a foreign key deletes no more": Case(
        f"{ITEM} DROP {_OWNER}, ADD {_OWNER} FOREIGN KEY (owner) REFERENCES shop.owner",
        ("change-foreign-key-action owner",), writer="23503",
        given=f"{ITEM} DROP {_OWNER}, ADD {_OWNER} FOREIGN KEY (owner) REFERENCES shop.owner ON DELETE CASCADE",
        writes=(*WRITES, "DELETE FROM shop.owner WHERE id = 1"), mirrored=False,
    ),
    "a foreign key waits for the end of the transaction": Case(
        f"{ITEM} ALTER {_OWNER} DEFERRABLE INITIALLY DEFERRED", writes=(*WRITES, insert(12, code="'c12'"))
    ),
    "a foreign key waits no more": Case(
        f"{ITEM} ALTER {_OWNER} NOT DEFERRABLE", ("change-foreign-key owner",), cautious=("writer",),
        given=f"{ITEM} ALTER {_OWNER} DEFERRABLE INITIALLY DEFERRED", judged_with_care=("writer",),
    ),
    "a foreign key to another table": Case(
        f"CREATE TABLE shop.other (id int PRIMARY KEY);;INSERT INTO shop.other VALUES (1), (9);;{ITEM} DROP {_OWNER}, "
        f"ADD {_OWNER} FOREIGN KEY (owner) REFERENCES shop.other", ("add-foreign-key owner", "drop-foreign-key owner"),
        writer="23503", replica="23503", mirror="23503", new=(insert(20, code="'c20'", owner=9),),
    ),
}  # fmt: skip
SILENT = {
    "add a BEFORE trigger": Case(_LOUD, ("add-trigger",), writer="silent", mirrored=False),
    "drop a BEFORE trigger": Case(
        "DROP TRIGGER loud ON shop.item", ("drop-trigger",), writer="silent", given=_LOUD, new=()
    ),
    "add a constraint trigger": Case(
        "CREATE FUNCTION shop.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE check_violation; END';;"
        "CREATE CONSTRAINT TRIGGER no AFTER INSERT ON shop.item FOR EACH ROW WHEN (NEW.label = 'ten') "
        "EXECUTE FUNCTION shop.no()", ("add-trigger",), writer="23514", mirrored=False,
        new=(insert(20, code="'c20'", label="'x'"),),
    ),
    "add a rule": Case(
        "CREATE RULE no AS ON INSERT TO shop.owner DO INSTEAD NOTHING", ("shop.owner add-rule",), writer="silent",
        writes=("INSERT INTO shop.owner (id, name) VALUES (3, 'three')",), mirrored=False,
    ),
    "enable row level security": Case(
        ITEM + "ENABLE ROW LEVEL SECURITY", ("row-security",), reader="hidden", live="fine", writer="42501",
    ),
    "a policy that shows less": Case(
        "ALTER POLICY all_of_it ON shop.item USING (id <> 1)", ("row-security",), reader="hidden", writer="42501",
        given=_SHARED,
    ),
    "a policy that only shows more": Case("CREATE POLICY more ON shop.item USING (id = 1)", given=_SHARED),
}  # fmt: skip
CASES = {**CHECKS, **KEYS, **REFERENCES, **SILENT}
