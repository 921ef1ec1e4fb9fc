"""A scenario as data: tables, rows, shapes and batches of transactions. It can be written, read, and made smaller."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from medley.sql.quoting import quote_identifier, quote_literal
from tests.oracle.kinds import CONSTANTS, KINDS

_ARGUMENT = re.compile(r"\{(\d+)\}")
Row = dict[str, str | None]
Conflict = Literal["", "nothing", "update"]
Places = Callable[[int, str], str]
"""What stands in a FROM for the table of that number, under an alias when there is one."""


class Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expression(Data):
    """`text` with `{0}`, `{1}` where its arguments go; a constant has `style` instead, and its value as text. A table
    that is read has its number as text, and its alias as kind."""

    text: str | None
    kind: str
    args: tuple["Expression", ...] = ()
    style: Literal["", "literal", "typed", "param", "plain", "table"] = ""

    def write(self, places: Places, params: list[str] | None = None) -> str:
        """As SQL; parameters go to `params`, and are written out when there is none."""
        if self.style == "table":
            return places(int(self.text or ""), self.kind)
        if self.style:
            return self._constant(params)
        parts = [arg.write(places, params) if not arg.args else f"({arg.write(places, params)})" for arg in self.args]
        return _ARGUMENT.sub(lambda match: parts[int(match[1])], self.text or "")

    def _constant(self, params: list[str] | None) -> str:
        if self.text is None:
            return "NULL"
        if self.style == "plain":
            return self.text
        if self.style == "typed":
            return f"{quote_literal(self.text)}::{constant_type(self.kind)}"
        if params is None or self.style == "literal":
            return f"({quote_literal(self.text)})" if self.style == "param" else quote_literal(self.text)
        params.append(self.text)
        return f"${len(params)}"

    def parts(self) -> Iterator["Expression"]:
        yield self
        for arg in self.args:
            yield from arg.parts()

    @property
    def reads(self) -> frozenset[int]:
        """The tables that its subqueries read."""
        return frozenset(int(part.text or "") for part in self.parts() if part.style == "table")


def constant_type(kind: str) -> str:
    return CONSTANTS[kind][0] if kind in CONSTANTS else KINDS[kind].sql


class TableColumn(Data):
    name: str
    kind: str

    @property
    def sql(self) -> str:
        return quote_identifier(self.name)


class Table(Data):
    """Without a key, its column `rowno` tells rows apart. `dropped`: it has had a column more. `beside`: in a schema of
    its own."""

    name: str
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...]
    dropped: bool = False
    beside: bool = False

    def kind_of(self, column: str) -> str:
        return next(one.kind for one in self.columns if one.name == column)

    def create(self, schema: str) -> str:
        """Its definition, and that of the table that keeps every version of its rows."""
        listed = [f"{one.sql} {KINDS[one.kind].definition}" for one in self.columns]
        key = ", ".join(quote_identifier(name) for name in self.key)
        gone = ["gone text"] if self.dropped else []
        table, history = self.sql(schema), self.history(schema)
        return (
            f"CREATE TABLE {table} ({', '.join([*gone, *listed, *([f'PRIMARY KEY ({key})'] if key else [])])});"
            f" {f'ALTER TABLE {table} DROP COLUMN gone;' if gone else ''}"
            f" CREATE TABLE {history} ({', '.join(listed)});"
            f" CREATE FUNCTION {history}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN INSERT INTO {history} SELECT NEW.*; RETURN NULL; END $$;"
            f" CREATE TRIGGER keeps AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {history}()"
        )

    def schema_in(self, scenario: str) -> str:
        """The name of the schema that it is in."""
        return f"{scenario} Beside" if self.beside else scenario

    def sql(self, schema: str) -> str:
        return f"{quote_identifier(self.schema_in(schema))}.{quote_identifier(self.name)}"

    def history(self, schema: str) -> str:
        """The table of every version of its rows."""
        return f"{schema}.history_{abs(hash_of(self.name))}"

    def literal(self, column: str, text: str | None) -> str:
        return "NULL" if text is None else f"{quote_literal(text)}::{KINDS[self.kind_of(column)].sql}"


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "big") % 1_000_003


class Tie(Data):
    """A foreign key to a table's only key column."""

    table: int
    column: str
    parent: int
    action: Literal["CASCADE", "SET NULL"]

    def create(self, tables: tuple[Table, ...], schema: str) -> str:
        table, parent = tables[self.table].sql(schema), tables[self.parent].sql(schema)
        column = quote_identifier(self.column)
        return f"ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES {parent} ON DELETE {self.action}"


class Selector(Data):
    """Rows whose column has a value; every row when there is no column."""

    column: str | None = None
    value: str | None = None


class Statement(Data):
    """`undone`: a savepoint around it is rolled back. An update or delete concerns the rows of `selector`."""

    table: int
    operation: Literal["insert", "update", "delete", "truncate"]
    rows: tuple[Row, ...] = ()
    on_conflict: Conflict = ""
    selector: Selector = Selector()
    undone: bool = False

    def write(self, tables: tuple[Table, ...], schema: str) -> str:
        table = tables[self.table]
        name, selector = table.sql(schema), self.selector
        where = "true"
        if selector.column is not None:
            where = f"{quote_identifier(selector.column)} = {table.literal(selector.column, selector.value)}"
        match self.operation:
            case "truncate":
                return f"TRUNCATE {name}"
            case "delete":
                return f"DELETE FROM {name} WHERE {where}"
            case "update":
                changed = self.rows[0].items()
                pairs = ", ".join(f"{quote_identifier(c)} = {table.literal(c, text)}" for c, text in changed)
                return f"UPDATE {name} SET {pairs} WHERE {where}"
            case "insert":
                return self._insert(table, name)

    def _insert(self, table: Table, name: str) -> str:
        columns = list(self.rows[0])
        values = ", ".join(f"({', '.join(table.literal(c, row.get(c)) for c in columns)})" for row in self.rows)
        listed = ", ".join(quote_identifier(column) for column in columns)
        conflict = ""
        if self.on_conflict == "nothing":
            conflict = " ON CONFLICT DO NOTHING"
        elif self.on_conflict == "update" and table.key:
            others = [column for column in columns if column not in table.key] or list(table.key)
            pairs = ", ".join(f"{quote_identifier(c)} = EXCLUDED.{quote_identifier(c)}" for c in others)
            key = ", ".join(quote_identifier(column) for column in table.key)
            conflict = f" ON CONFLICT ({key}) DO UPDATE SET {pairs}"
        return f"INSERT INTO {name} ({listed}) VALUES {values}{conflict}"


class Transaction(Data):
    """`paced`: the next one waits until its changes were sent. `writer`: writers of a batch write at once. `late`: its
    commit is seen by nobody for a moment."""

    statements: tuple[Statement, ...]
    undone: bool = False
    paced: bool = False
    writer: int = 0
    late: bool = False


class Shape(Data):
    """`batch`: when it is opened; `amid` that batch's transactions, or before them. `stalled`: its opening is stopped
    before and after its snapshot is taken, and transactions are in between."""

    table: int
    where: Expression
    columns: tuple[str, ...] | None = None
    replica: Literal["default", "full"] = "default"
    batch: int = 0
    amid: bool = False
    stalled: bool = False

    @property
    def tables(self) -> frozenset[int]:
        """Those that its rows depend on."""
        return self.where.reads | {self.table}


class Scenario(Data):
    seed: str
    tables: tuple[Table, ...]
    rows: tuple[Statement, ...]
    shapes: tuple[Shape, ...]
    batches: tuple[tuple[Transaction, ...], ...]
    ties: tuple[Tie, ...] = ()
